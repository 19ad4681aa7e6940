"""What models generate: audio, images, text and translations, loaded as events."""

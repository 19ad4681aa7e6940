"""Events that models generate: audio, images, text and translations, loaded from real data."""

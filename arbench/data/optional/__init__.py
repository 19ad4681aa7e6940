"""Data of optional packages, by name: numbers, phonemes, MNIST; a package is read where it is named."""

"""Times of two versions, taken in turns."""

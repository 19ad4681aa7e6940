"""Files that ``arbench new`` copies: each runs as it is."""

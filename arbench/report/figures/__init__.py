"""Parts that every figure shares: its look, its name and its files."""

"""What all figures share: their looks, and how they are saved."""

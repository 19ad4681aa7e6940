"""A metric over commits, and where it steps."""

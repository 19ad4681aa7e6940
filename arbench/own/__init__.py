"""A user's own code: how it is imported, and what is said of the exceptions that it raises."""

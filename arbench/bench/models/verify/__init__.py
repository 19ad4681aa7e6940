"""Verification of a model, and of every method on it, before anything is timed."""

"""Leaks: what of an event changes the parameters of elements before it."""

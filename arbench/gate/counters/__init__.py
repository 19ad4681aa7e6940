"""Counters and answers against a committed baseline, to the last digit."""

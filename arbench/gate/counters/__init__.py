"""Counter check: exact counters and verification results against a committed baseline."""

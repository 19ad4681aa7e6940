"""Time check: two versions of arbench, timed in turns."""

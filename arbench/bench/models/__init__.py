"""Models as the subject of a measurement: built, verified, counted and called for each case."""

"""Models as the subject of a measurement: built, verified, counted, called by case."""

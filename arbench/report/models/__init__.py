"""What a run of models says: verdicts, the taxonomy, the map, curves and batch sweeps."""

"""The report on models: verdicts, the taxonomy, the map, curves and batch sweeps."""

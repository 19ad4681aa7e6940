"""Parts that all kernels share: specification, launcher, rows, random numbers, fingerprints, Numba rows."""

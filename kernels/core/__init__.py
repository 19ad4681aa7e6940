"""What all kernels share: their specification, the launcher, rows, random numbers, Numba rows."""

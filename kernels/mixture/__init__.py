"""Parameters, programs and Numba functions of the mixture of logistics."""

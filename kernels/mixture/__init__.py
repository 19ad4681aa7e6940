"""The mixture of logistics: its parameters, its programs, and its implementations in PyTorch and Numba."""

"""Parts of native samplers on a CPU: whole draws in one call, compiled by Numba."""

"""Triton kernels of arbench, imported as ``arbench.kernels``: one file a kernel."""

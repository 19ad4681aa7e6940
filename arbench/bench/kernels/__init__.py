"""Kernels as the subject of a measurement: their plan, implementations, calls and verification."""

from arbench.bench.kernels.plan import KernelOptions as KernelOptions
from arbench.bench.kernels.plan import make_kernel_plan as make_kernel_plan

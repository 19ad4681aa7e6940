"""Triton kernels of autoregressive models, imported as ``arbench.kernels``: one file a kernel.

Each file holds the kernel's Triton programs, its launcher, its gradient and its cost, and the plain
PyTorch ``reference`` that its results are held against. Every function takes ``backend=``: without it,
tensors on a GPU go to Triton and others to the reference.
"""

from arbench.kernels.kernel import Cost, Kernel
from arbench.kernels.softmax import LOG_SOFTMAX, SOFTMAX, log_softmax, softmax
from arbench.kernels.wavenet_layer import WAVENET_LAYER, wavenet_layer

KERNELS = {kernel.name: kernel for kernel in (SOFTMAX, LOG_SOFTMAX, WAVENET_LAYER)}
"""By name."""

__all__ = ["KERNELS", "Cost", "Kernel", "log_softmax", "softmax", "wavenet_layer"]

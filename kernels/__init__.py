"""Triton kernels of autoregressive models, imported as ``arbench.kernels``: one file a kernel.

Each file holds the kernel's Triton programs, its launcher, its gradient and its cost, and the plain
PyTorch ``reference`` that its results are held against. Every function takes ``backend=``: without it,
tensors on a GPU go to Triton and others to the reference.
"""

from arbench.kernels.kernel import Cost, Kernel
from arbench.kernels.log_prob_from_logits import LOG_PROB_FROM_LOGITS, log_prob_from_logits
from arbench.kernels.sample_from_logits import SAMPLE_FROM_LOGITS, sample_from_logits
from arbench.kernels.softmax import LOG_SOFTMAX, SOFTMAX, log_softmax, softmax

KERNELS = {kernel.name: kernel for kernel in (SOFTMAX, LOG_SOFTMAX, SAMPLE_FROM_LOGITS, LOG_PROB_FROM_LOGITS)}
"""By name."""

__all__ = [
    "KERNELS",
    "Cost",
    "Kernel",
    "log_prob_from_logits",
    "log_softmax",
    "sample_from_logits",
    "softmax",
]

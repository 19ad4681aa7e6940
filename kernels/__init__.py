"""Kernels of autoregressive models, imported as ``arbench.kernels``: one file for each kernel.

A kernel's file contains its launcher, its gradient, its cost, and the implementation in plain PyTorch that its
results are checked against; its Triton programs are in ``logits``, ``mixture`` or ``conv``. Every function
takes ``backend=``; by default tensors on a GPU use Triton, others plain PyTorch. Some have a Numba backend for CPUs,
and ``packed_matmul`` and ``gated_tanh``, parts of the native loops in ``samplers``, are for CPUs alone. Every function
computes in the dtype of its arguments, under ``torch.autocast`` too.
"""

from arbench.kernels.causal_conv1d import CAUSAL_CONV1D, causal_conv1d
from arbench.kernels.causal_conv1d_update import CAUSAL_CONV1D_UPDATE, causal_conv1d_update
from arbench.kernels.core.spec import Cost, Kernel
from arbench.kernels.gated_tanh import GATED_TANH, gated_tanh
from arbench.kernels.log_prob_from_logits import LOG_PROB_FROM_LOGITS, log_prob_from_logits
from arbench.kernels.logistic_mixture_log_prob import LOGISTIC_MIXTURE_LOG_PROB, logistic_mixture_log_prob
from arbench.kernels.logistic_mixture_sample import LOGISTIC_MIXTURE_SAMPLE, logistic_mixture_sample
from arbench.kernels.packed_matmul import PACKED_MATMUL, PackedWeight, pack_weight, packed_matmul
from arbench.kernels.sample_from_logits import SAMPLE_FROM_LOGITS, sample_from_logits
from arbench.kernels.softmax import LOG_SOFTMAX, SOFTMAX, log_softmax, softmax
from arbench.kernels.wavenet_layer import WAVENET_LAYER, wavenet_layer

KERNELS = {
    kernel.name: kernel
    for kernel in (
        SOFTMAX,
        LOG_SOFTMAX,
        CAUSAL_CONV1D,
        CAUSAL_CONV1D_UPDATE,
        WAVENET_LAYER,
        SAMPLE_FROM_LOGITS,
        LOG_PROB_FROM_LOGITS,
        LOGISTIC_MIXTURE_LOG_PROB,
        LOGISTIC_MIXTURE_SAMPLE,
        PACKED_MATMUL,
        GATED_TANH,
    )
}
"""All kernels by name."""

__all__ = [
    "KERNELS",
    "Cost",
    "Kernel",
    "PackedWeight",
    "causal_conv1d",
    "causal_conv1d_update",
    "gated_tanh",
    "log_prob_from_logits",
    "log_softmax",
    "logistic_mixture_log_prob",
    "logistic_mixture_sample",
    "pack_weight",
    "packed_matmul",
    "sample_from_logits",
    "softmax",
    "wavenet_layer",
]

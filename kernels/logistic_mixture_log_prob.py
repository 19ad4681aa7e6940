"""Log-probability of levels under a discretized mixture of logistics, in one read of the parameters.

The forward program stores no intermediates; the backward program reads the parameters again and writes their
gradient. Half precision is computed in float32.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
from torch import Tensor

from arbench.backends import BACKENDS
from arbench.kernels.core.calls import as_given, once_differentiable
from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, rows_of
from arbench.kernels.core.spec import LOG_PROBS, Config, Cost, Inputs, Kernel, Op, choose
from arbench.kernels.mixture import eager
from arbench.kernels.mixture.inputs import random_levels, random_params
from arbench.kernels.mixture.log_prob_programs import (
    logistic_mixture_log_prob_backward_kernel,
    logistic_mixture_log_prob_kernel,
)
from arbench.kernels.mixture.parameters import check, check_levels, result_dtype, width
from arbench.kernels.mixture.tiles import constants, is_dense, tile, vectorised

NAME = "logistic_mixture_log_prob"


def _forward(params: Tensor, x: Tensor, levels: int, components: int, channels: int) -> Tensor:
    out = empty(params.shape[:-1], result_dtype(params), params.device)
    found = rows_of(NAME, params[..., 0], x if channels == 1 else x[..., 0], out)
    params_strides, x_strides, out_strides = found.strides
    dense = is_dense(found, 0, params)
    tiles = tile(params, components, channels)
    launch(
        logistic_mixture_log_prob_kernel,
        (triton.cdiv(found.count, tiles["BLOCK_ROWS"]),),
        params,
        x,
        out,
        found.count,
        *found.inner,
        *params_strides,
        params.stride(-1),
        *x_strides,
        1 if channels == 1 else x.stride(-1),
        *out_strides,
        DENSE=dense,
        **constants(levels, components, channels),
        **tiles,
    )
    return out


def _backward(params: Tensor, x: Tensor, dout: Tensor, levels: int, components: int, channels: int) -> Tensor:
    dparams = empty_like(params)
    of_rows = x if channels == 1 else x[..., 0]
    if dout.dim() > MOST_AXES:  # a copy is small beside params
        dout = empty_like(of_rows, dout.dtype).copy_(dout)
    found = rows_of(NAME, params[..., 0], of_rows, dout, dparams[..., 0])
    params_strides, x_strides, dout_strides, dparams_strides = found.strides
    dense = is_dense(found, 0, params) and is_dense(found, 3, dparams)
    tiles = tile(params, components, channels, backward=True)
    launch(
        logistic_mixture_log_prob_backward_kernel,
        (triton.cdiv(found.count, tiles["BLOCK_ROWS"]),),
        params,
        x,
        dout,
        dparams,
        found.count,
        *found.inner,
        *params_strides,
        params.stride(-1),
        *x_strides,
        1 if channels == 1 else x.stride(-1),
        *dout_strides,
        *dparams_strides,
        dparams.stride(-1),
        DENSE=dense,
        **constants(levels, components, channels),
        **tiles,
    )
    return dparams


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, params: Tensor, x: Tensor, levels: int, components: int, channels: int, backend: str
    ) -> Tensor:
        ctx.save_for_backward(params, x)
        ctx.sizes, ctx.backend, ctx.name = (levels, components, channels), backend, NAME
        if backend == "triton":
            return _forward(params, x, levels, components, channels)
        from arbench.kernels.mixture import numba_mixture

        return numba_mixture.log_prob(params, x, levels, components, channels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> Any:
        params, x = ctx.saved_tensors
        if ctx.backend == "triton":
            return _backward(params, x, dout, *ctx.sizes), None, None, None, None, None
        from arbench.kernels.mixture import numba_mixture

        return numba_mixture.gradient(params, x, dout, *ctx.sizes), None, None, None, None, None


@as_given
def logistic_mixture_log_prob(
    params: Tensor, x: Tensor, *, levels: int, components: int, channels: int = 1, backend: str | None = None
) -> Tensor:
    """Return log sum_k pi_k prod_c P_kc(x_c), in nats: the mixture's mass in the bins around levels.

    Level x of 0 .. levels-1 is at position 2x/(levels-1) - 1 in [-1, 1], in the middle of its bin; the first
    and the last bin include the tails. With three channels the mean of g moves by tanh(c_rg) r and that of b by
    tanh(c_rb) r + tanh(c_gb) g in each component, where r and g are the positions of the given levels.

    Args:
        params: (..., P) of any strides. One channel: P = 3K, as K mixture logits | K means | K log-scales.
            Three channels: P = 10K, as K mixture logits shared by the pixel | K means of r, of g, of b |
            K log-scales of r, of g, of b | K coefficients c_rg, c_rb, c_gb, before their tanh. Log-scales
            below -14 count as -14.
        x: (...,) or, with three channels, (..., 3): int64 levels. The result for a level out of range is
            undefined.
        levels: number of levels, 2 to 2^24.
        components: number of components, K.
        channels: number of channels, 1 or 3.
        backend: "eager", "triton" or "numba" (float32 and float64 on the CPU, contiguous along the last axis,
            as many threads as ``torch.get_num_threads()``); by default Triton for a tensor on a GPU.

    Returns:
        Log-probabilities (...,), float64 for float64 parameters and float32 otherwise. Differentiable once with
        respect to ``params``; a derivative of second order raises RuntimeError, except on the eager backend. A row
        with NaN among its parameters gives NaN.

    Raises:
        ValueError: sizes or devices do not fit; more than three axes of rows do not merge (Triton); the last
            axis is not contiguous (Numba).
        TypeError: params are not floating-point, or in half precision (Numba); x is not int64.

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1, eq. 1-2, and section 2.2, eq. 3.
    """
    check(NAME, params, levels, components, channels)
    check_levels(NAME, params, x, channels)
    backend = choose(NAME, backend, params, BACKENDS)
    if backend == "eager":
        return eager.log_prob(params, x, levels, components, channels)
    if backend == "numba":
        from arbench.kernels.core.numba_rows import check as check_rows

        check_rows(NAME, params=params)
    return _LogProb.apply(params, x, levels, components, channels, backend)


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    components: int = 10,
    levels: int = 256,
    channels: int = 1,
    layout: str = "rows",
) -> Inputs:
    return {
        "params": random_params(rows, components, channels, layout, dtype, device, generator),
        "x": random_levels(rows, levels, channels, device, generator),
        "levels": levels,
        "components": components,
        "channels": channels,
    }


def _cost(op: Op, inputs: Inputs) -> Cost:
    params, x, channels = inputs["params"], inputs["x"], inputs["channels"]
    rows = math.prod(params.shape[:-1])
    moved = x.nbytes + rows * result_dtype(params).itemsize
    components = rows * inputs["components"]
    if op == "forward":
        return Cost(params.nbytes + moved, components * (8 + 35 * channels + (27 if channels == 3 else 0)))
    return Cost(2 * params.nbytes + moved, components * (16 + 54 * channels + (39 if channels == 3 else 0)))


def _dims(config: Config) -> tuple[int, int]:
    components = config.get("components", 10)
    return config["rows"], width(components, config.get("channels", 1))


LOGISTIC_MIXTURE_LOG_PROB = Kernel(
    name=NAME,
    summary="log-probability under a discretized mixture of logistics",
    call=logistic_mixture_log_prob,
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = R (P s + 8 C + 4), FLOPs = R K (8 + 35 C), or 121 R K with three channels",
        "backward": "bytes = R (2 P s + 8 C + 4), FLOPs = R K (16 + 54 C), or 217 R K with three channels",
    },
    matrix=[
        dict(rows=4096, components=10),
        dict(rows=4096, components=10, layout="columns"),
        dict(rows=4096, components=16, levels=65536),
        dict(rows=4096, components=10, channels=3),
    ],
    checks=[
        dict(rows=151, components=10),
        dict(rows=9, components=13, levels=65536, layout="columns"),
        dict(rows=67, components=10, channels=3),
        dict(rows=2, components=1, levels=2),
    ],
    sizes={
        "cpu": [dict(rows=16000, components=10, levels=65536), dict(rows=4096, components=10, channels=3)],
        "cuda": [
            dict(rows=2**23, components=10, levels=65536),
            dict(rows=2**23, components=10, levels=65536, layout="columns"),
            dict(rows=2**21, components=10, channels=3),
        ],
    },
    dims=_dims,
    element="parameter",
    gradients=("params",),
    backends=BACKENDS,
    gradient_tolerance={**LOG_PROBS, torch.float32: (1e-4, 1e-4)},
    vectorised=vectorised,
)

"""Log-probability of levels under a discretized mixture of logistics, in one read of the parameters.

The forward program keeps nothing between its read and its sum; the backward one reads the parameters once
more and writes their gradient. Half precision is computed in float32.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from arbench.backends import BACKENDS
from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, row_offset, rows_of, widen
from arbench.kernels.core.spec import LOG_PROBS, Config, Cost, Inputs, Kernel, Op, choose
from arbench.kernels.mixture import parameters as mixture
from arbench.kernels.mixture.bins import (
    add_sums,
    component_masses,
    load_levels,
    log_prob_of_sums,
    mixture_sums,
    parameter_rows,
    row_pointers,
    row_sums,
)

NAME = "logistic_mixture_log_prob"


@triton.jit
def logistic_mixture_log_prob_kernel(
    params,
    x,
    out,
    rows,
    size_1,
    size_2,
    params_stride_0,
    params_stride_1,
    params_stride_2,
    params_stride_last,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_last,
    out_stride_0,
    out_stride_1,
    out_stride_2,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_K_REST: tl.constexpr,
):
    row, m_row, p_params = parameter_rows(
        params, rows, size_1, size_2, params_stride_0, params_stride_1, params_stride_2, PITCH, DENSE, BLOCK_ROWS
    )
    x0, x1, x2 = load_levels(x, row, m_row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2, x_stride_last, CHANNELS)
    prior_top, prior_rest, joint_top, joint_rest = row_sums(
        p_params, params_stride_last, x0, x1, x2, m_row, K, CHANNELS, BINS, LOG2_BINS, BLOCK_K, BLOCK_K_REST
    )
    b_out = log_prob_of_sums(prior_top, prior_rest, joint_top, joint_rest)
    p_out = out + row_offset(row, size_1, size_2, out_stride_0, out_stride_1, out_stride_2)
    tl.store(p_out, b_out, mask=m_row)


@triton.jit
def logistic_mixture_log_prob_backward_kernel(
    params,
    x,
    dout,
    dparams,
    rows,
    size_1,
    size_2,
    params_stride_0,
    params_stride_1,
    params_stride_2,
    params_stride_last,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_last,
    dout_stride_0,
    dout_stride_1,
    dout_stride_2,
    dparams_stride_0,
    dparams_stride_1,
    dparams_stride_2,
    dparams_stride_last,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_K_REST: tl.constexpr,
):
    row, m_row, p_params = parameter_rows(
        params, rows, size_1, size_2, params_stride_0, params_stride_1, params_stride_2, PITCH, DENSE, BLOCK_ROWS
    )
    p_dparams = row_pointers(
        dparams,
        row,
        size_1,
        size_2,
        dparams_stride_0,
        dparams_stride_1,
        dparams_stride_2,
        PITCH,
        DENSE,
        BLOCK_ROWS,
    )
    x0, x1, x2 = load_levels(x, row, m_row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2, x_stride_last, CHANNELS)
    p_dout = dout + row_offset(row, size_1, size_2, dout_stride_0, dout_stride_1, dout_stride_2)
    b_dout = widen(tl.load(p_dout, mask=m_row, other=0.0))
    # Recompute the masses and their sums.
    o_k = tl.arange(0, BLOCK_K)[None, :]
    masses = component_masses(p_params, params_stride_last, x0, x1, x2, o_k, m_row, K, CHANNELS, BINS, LOG2_BINS)
    prior_top, prior_rest, joint_top, joint_rest = mixture_sums(masses)
    if BLOCK_K_REST:
        o_rest = BLOCK_K + tl.arange(0, BLOCK_K_REST)[None, :]
        rest = component_masses(p_params, params_stride_last, x0, x1, x2, o_rest, m_row, K, CHANNELS, BINS, LOG2_BINS)
        prior_top, prior_rest, joint_top, joint_rest = add_sums(
            prior_top, prior_rest, joint_top, joint_rest, mixture_sums(rest)
        )
    # Write the gradient.
    prior_scale, joint_scale = b_dout / prior_rest, b_dout / joint_rest
    store_gradients(
        p_dparams,
        dparams_stride_last,
        x0,
        x1,
        o_k,
        m_row,
        masses,
        prior_top,
        prior_scale,
        joint_top,
        joint_scale,
        K,
        CHANNELS,
        BINS,
    )
    if BLOCK_K_REST:
        store_gradients(
            p_dparams,
            dparams_stride_last,
            x0,
            x1,
            o_rest,
            m_row,
            rest,
            prior_top,
            prior_scale,
            joint_top,
            joint_scale,
            K,
            CHANNELS,
            BINS,
        )


@triton.jit
def store_gradients(
    p_dparams,
    stride,
    x0,
    x1,
    o_k,
    m_row,
    masses,
    prior_top,
    prior_scale,
    joint_top,
    joint_scale,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
):
    """Store the gradient of the parameters of components ``o_k`` (1, BLOCK_K)."""
    b_logit, linear, factor, slopes, growths, coefficients = masses
    mask = m_row[:, None] & (o_k < K)  # (BLOCK_ROWS, BLOCK_K)
    b_prior = tl.exp2(b_logit - prior_top[:, None]) * prior_scale[:, None]
    b_posterior = tl.exp2(b_logit + linear - joint_top[:, None]) * factor * joint_scale[:, None]
    store_group(p_dparams, stride, o_k, 0, K, b_posterior - b_prior, mask)
    for c in tl.static_range(CHANNELS):
        store_group(p_dparams, stride, o_k, 1 + c, K, b_posterior * slopes[c] * -BINS, mask)
        store_group(p_dparams, stride, o_k, 1 + CHANNELS + c, K, b_posterior * -growths[c], mask)
    if CHANNELS == 3:
        h0 = (2 * x0 - BINS).to(b_posterior.dtype)[:, None]
        h1 = (2 * x1 - BINS).to(b_posterior.dtype)[:, None]
        rg, rb, gb = coefficients[0], coefficients[1], coefficients[2]
        store_group(p_dparams, stride, o_k, 7, K, b_posterior * slopes[1] * -h0 * (1 - rg * rg), mask)
        store_group(p_dparams, stride, o_k, 8, K, b_posterior * slopes[2] * -h0 * (1 - rb * rb), mask)
        store_group(p_dparams, stride, o_k, 9, K, b_posterior * slopes[2] * -h1 * (1 - gb * gb), mask)


@triton.jit
def store_group(p_row, stride, o_k, GROUP: tl.constexpr, K: tl.constexpr, b_group, mask):
    """Store numbers (BLOCK_ROWS, BLOCK_K) of one of the groups of K; the counterpart of ``load_group``."""
    tl.store(p_row[:, None] + (GROUP * K + o_k).to(tl.int64) * stride, b_group.to(p_row.dtype.element_ty), mask=mask)


def _forward(params: Tensor, x: Tensor, levels: int, components: int, channels: int) -> Tensor:
    out = empty(params.shape[:-1], mixture.result_dtype(params), params.device)
    found = rows_of(NAME, params[..., 0], x if channels == 1 else x[..., 0], out)
    params_strides, x_strides, out_strides = found.strides
    dense = mixture.is_dense(found, 0, params)
    tile = mixture.tile(params, components, channels)
    launch(
        logistic_mixture_log_prob_kernel,
        (triton.cdiv(found.count, tile["BLOCK_ROWS"]),),
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
        **mixture.constants(levels, components, channels),
        **tile,
    )
    return out


def _backward(params: Tensor, x: Tensor, dout: Tensor, levels: int, components: int, channels: int) -> Tensor:
    dparams = empty_like(params)
    of_rows = x if channels == 1 else x[..., 0]
    if dout.dim() > MOST_AXES:  # small beside params, whatever its order
        dout = empty_like(of_rows, dout.dtype).copy_(dout)
    found = rows_of(NAME, params[..., 0], of_rows, dout, dparams[..., 0])
    params_strides, x_strides, dout_strides, dparams_strides = found.strides
    dense = mixture.is_dense(found, 0, params) and mixture.is_dense(found, 3, dparams)
    tile = mixture.tile(params, components, channels, backward=True)
    launch(
        logistic_mixture_log_prob_backward_kernel,
        (triton.cdiv(found.count, tile["BLOCK_ROWS"]),),
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
        **mixture.constants(levels, components, channels),
        **tile,
    )
    return dparams


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, params: Tensor, x: Tensor, levels: int, components: int, channels: int, backend: str
    ) -> Tensor:
        ctx.save_for_backward(params, x)
        ctx.sizes, ctx.backend = (levels, components, channels), backend
        if backend == "triton":
            return _forward(params, x, levels, components, channels)
        from arbench.kernels.mixture import numba_mixture as logistic_mixture_cpu

        return logistic_mixture_cpu.log_prob(params, x, levels, components, channels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> Any:
        params, x = ctx.saved_tensors
        if ctx.backend == "triton":
            return _backward(params, x, dout, *ctx.sizes), None, None, None, None, None
        from arbench.kernels.mixture import numba_mixture as logistic_mixture_cpu

        return logistic_mixture_cpu.gradient(params, x, dout, *ctx.sizes), None, None, None, None, None


def logistic_mixture_log_prob(
    params: Tensor, x: Tensor, *, levels: int, components: int, channels: int = 1, backend: str | None = None
) -> Tensor:
    """log sum_k pi_k prod_c P_kc(x_c), in nats: the mixture's mass in the bins around levels.

    Levels 0 .. levels-1 stand at 2x/(levels-1) - 1 in [-1, 1], half a step from the ends of their bins; the
    first and the last bin hold the tails. With three channels a component's g has its mean moved by
    tanh(c_rg) r, and b by tanh(c_rb) r + tanh(c_gb) g, where r and g are the positions of the given levels.

    Args:
        params: (..., P) of any strides. One channel: P = 3K, as K mixture logits | K means | K log-scales.
            Three channels: P = 10K, as K mixture logits shared by the pixel | K means of r, of g, of b |
            K log-scales of r, of g, of b | K coefficients c_rg, c_rb, c_gb, before their tanh. Log-scales
            below -14 count as -14.
        x: (...,) or, with three channels, (..., 3): int64 levels. One that is out of range has no meaning.
        levels: 2 to 2^24.
        components: K.
        channels: 1 or 3.
        backend: "eager", "triton" or "numba" (float32 and float64 on the CPU, a last axis without gaps,
            as many threads as ``torch.get_num_threads()``); by the device without it.

    Returns:
        (...,), float32 or, of float64 parameters, float64. Differentiable once, with respect to ``params``.
        A row with NaN among its parameters gives NaN.

    Raises:
        ValueError: sizes or devices do not fit; more than three axes of rows that strides do not merge
            (Triton); a last axis with gaps (Numba).
        TypeError: params are not floating-point, or half precision for Numba; x is not int64.

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1, eq. 1-2, and section 2.2, eq. 3.
    """
    mixture.check(NAME, params, levels, components, channels)
    mixture.check_levels(NAME, params, x, channels)
    backend = choose(NAME, backend, params, BACKENDS)
    if backend == "eager":
        return mixture.log_prob(params, x, levels, components, channels)
    if backend == "numba":
        from arbench.kernels.core import numba_rows as cpu

        cpu.demand(NAME, params=params)
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
        "params": mixture.some_params(rows, components, channels, layout, dtype, device, generator),
        "x": mixture.some_levels(rows, levels, channels, device, generator),
        "levels": levels,
        "components": components,
        "channels": channels,
    }


def _cost(op: Op, inputs: Inputs) -> Cost:
    params, x, channels = inputs["params"], inputs["x"], inputs["channels"]
    rows = math.prod(params.shape[:-1])
    moved = x.nbytes + rows * mixture.result_dtype(params).itemsize
    components = rows * inputs["components"]
    if op == "forward":
        return Cost(params.nbytes + moved, components * (8 + 35 * channels + (27 if channels == 3 else 0)))
    return Cost(2 * params.nbytes + moved, components * (16 + 54 * channels + (39 if channels == 3 else 0)))


def _dims(config: Config) -> tuple[int, int]:
    components = config.get("components", 10)
    return config["rows"], mixture.width(components, config.get("channels", 1))


LOGISTIC_MIXTURE_LOG_PROB = Kernel(
    name=NAME,
    summary="log-probability under a discretized mixture of logistics",
    call=logistic_mixture_log_prob,
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = R (P s + 8 C + 4), FLOPs = R K (8 + 35 C), 121 R K with three channels",
        "backward": "bytes = R (2 P s + 8 C + 4), FLOPs = R K (16 + 54 C), 217 R K with three channels",
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
    vectorised=mixture.vectorised,
)

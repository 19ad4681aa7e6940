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

from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, row_offset, rows_of, widen
from arbench.kernels.core.spec import LOG_PROBS, Config, Cost, Inputs, Kernel, Op, choose
from arbench.kernels.mixture import parameters as mixture
from arbench.kernels.mixture.bins import LN2, add_sums, level, masses, row_starts, sums

NAME = "logistic_mixture_log_prob"
BACKENDS = ("reference", "triton", "numba")


@triton.jit
def logistic_mixture_forward(
    params,
    x,
    out,
    rows,
    n1,
    n2,
    ps0,
    ps1,
    ps2,
    pc,
    xs0,
    xs1,
    xs2,
    xc,
    os0,
    os1,
    os2,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    ROWS: tl.constexpr,
    MAIN: tl.constexpr,
    REST: tl.constexpr,
):
    first_row = tl.program_id(0).to(tl.int64) * ROWS
    row = first_row + tl.arange(0, ROWS)
    m_row = row < rows
    p_row = row_starts(params, row, first_row, n1, n2, ps0, ps1, ps2, PITCH, DENSE)
    p_x = x + row_offset(row, n1, n2, xs0, xs1, xs2)
    x0 = level(p_x, xc, m_row, 0)
    x1 = level(p_x, xc, m_row, CHANNELS // 2)
    x2 = level(p_x, xc, m_row, CHANNELS - 1)
    o = tl.arange(0, MAIN)[None, :]
    part = masses(p_row, pc, x0, x1, x2, o, m_row, K, CHANNELS, BINS, LOG2_BINS)
    top, total, best, mass = sums(part)
    if REST:
        o = MAIN + tl.arange(0, REST)[None, :]
        part = masses(p_row, pc, x0, x1, x2, o, m_row, K, CHANNELS, BINS, LOG2_BINS)
        top, total, best, mass = add_sums(top, total, best, mass, sums(part))
    b_out = ((best - top) + tl.log2(mass / total)) * LN2
    tl.store(out + row_offset(row, n1, n2, os0, os1, os2), b_out, mask=m_row)


@triton.jit
def logistic_mixture_backward(
    params,
    x,
    dout,
    dparams,
    rows,
    n1,
    n2,
    ps0,
    ps1,
    ps2,
    pc,
    xs0,
    xs1,
    xs2,
    xc,
    gs0,
    gs1,
    gs2,
    ds0,
    ds1,
    ds2,
    dc,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    ROWS: tl.constexpr,
    MAIN: tl.constexpr,
    REST: tl.constexpr,
):
    first_row = tl.program_id(0).to(tl.int64) * ROWS
    row = first_row + tl.arange(0, ROWS)
    m_row = row < rows
    p_row = row_starts(params, row, first_row, n1, n2, ps0, ps1, ps2, PITCH, DENSE)
    p_d = row_starts(dparams, row, first_row, n1, n2, ds0, ds1, ds2, PITCH, DENSE)
    p_x = x + row_offset(row, n1, n2, xs0, xs1, xs2)
    x0 = level(p_x, xc, m_row, 0)
    x1 = level(p_x, xc, m_row, CHANNELS // 2)
    x2 = level(p_x, xc, m_row, CHANNELS - 1)
    b_g = widen(tl.load(dout + row_offset(row, n1, n2, gs0, gs1, gs2), mask=m_row, other=0.0))
    o = tl.arange(0, MAIN)[None, :]
    part = masses(p_row, pc, x0, x1, x2, o, m_row, K, CHANNELS, BINS, LOG2_BINS)
    top, total, best, mass = sums(part)
    if REST:
        o_rest = MAIN + tl.arange(0, REST)[None, :]
        rest = masses(p_row, pc, x0, x1, x2, o_rest, m_row, K, CHANNELS, BINS, LOG2_BINS)
        top, total, best, mass = add_sums(top, total, best, mass, sums(rest))
    prior, posterior = b_g / total, b_g / mass
    gradients(p_d, dc, x0, x1, o, m_row, part, top, prior, best, posterior, K, CHANNELS, BINS)
    if REST:
        gradients(p_d, dc, x0, x1, o_rest, m_row, rest, top, prior, best, posterior, K, CHANNELS, BINS)


@triton.jit
def gradients(
    p_d,
    dc,
    x0,
    x1,
    o,
    m_row,
    part,
    top,
    prior,
    best,
    posterior,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
):
    """Writes the gradient of the parameters of components ``o`` (1, KP)."""
    b_logit, linear, factor, slopes, growths, coefficients = part
    mask = m_row[:, None] & (o < K)  # (ROWS, KP)
    b_pi = tl.exp2(b_logit - top[:, None]) * prior[:, None]
    b_w = tl.exp2(b_logit + linear - best[:, None]) * factor * posterior[:, None]
    put(p_d, dc, o, 0, K, b_w - b_pi, mask)
    for c in tl.static_range(CHANNELS):
        put(p_d, dc, o, 1 + c, K, b_w * slopes[c] * -BINS, mask)
        put(p_d, dc, o, 1 + CHANNELS + c, K, b_w * -growths[c], mask)
    if CHANNELS == 3:
        n0 = (2 * x0 - BINS).to(b_w.dtype)[:, None]
        n1 = (2 * x1 - BINS).to(b_w.dtype)[:, None]
        rg, rb, gb = coefficients[0], coefficients[1], coefficients[2]
        put(p_d, dc, o, 7, K, b_w * slopes[1] * -n0 * (1 - rg * rg), mask)
        put(p_d, dc, o, 8, K, b_w * slopes[2] * -n0 * (1 - rb * rb), mask)
        put(p_d, dc, o, 9, K, b_w * slopes[2] * -n1 * (1 - gb * gb), mask)


@triton.jit
def put(p_d, dc, o, BLOCK: tl.constexpr, K: tl.constexpr, b_d, mask):
    tl.store(p_d[:, None] + (BLOCK * K + o).to(tl.int64) * dc, b_d.to(p_d.dtype.element_ty), mask=mask)


def _forward(params: Tensor, x: Tensor, levels: int, components: int, channels: int) -> Tensor:
    out = empty(params.shape[:-1], mixture.result_dtype(params), params.device)
    found = rows_of(NAME, params[..., 0], x if channels == 1 else x[..., 0], out)
    ps, xs, os = found.strides
    dense = mixture.is_dense(found, 0, params)
    tile = mixture.tile(params, components, channels)
    launch(
        logistic_mixture_forward,
        (triton.cdiv(found.count, tile["ROWS"]),),
        params,
        x,
        out,
        found.count,
        *found.inner,
        *ps,
        params.stride(-1),
        *xs,
        1 if channels == 1 else x.stride(-1),
        *os,
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
    ps, xs, gs, ds = found.strides
    dense = mixture.is_dense(found, 0, params) and mixture.is_dense(found, 3, dparams)
    tile = mixture.tile(params, components, channels, backward=True)
    launch(
        logistic_mixture_backward,
        (triton.cdiv(found.count, tile["ROWS"]),),
        params,
        x,
        dout,
        dparams,
        found.count,
        *found.inner,
        *ps,
        params.stride(-1),
        *xs,
        1 if channels == 1 else x.stride(-1),
        *gs,
        *ds,
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
        backend: "reference", "triton" or "numba" (float32 and float64 on the CPU, a last axis without gaps,
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
    if backend == "reference":
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

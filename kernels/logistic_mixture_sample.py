"""Draws from a discretized mixture of logistics with given noise, and their log-probability, in one read."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels.core.launch import empty, launch
from arbench.kernels.core.rows import row_offset, rows_of, widen
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, floating, normal, same_device
from arbench.kernels.mixture import parameters as mixture
from arbench.kernels.mixture.bins import FLOOR, load_group, log_prob_of_sums, parameter_rows, row_sums, tanh

NAME = "logistic_mixture_sample"


@triton.jit
def logistic_mixture_sample_kernel(
    params,
    noise,
    x,
    out,
    rows,
    size_1,
    size_2,
    params_stride_0,
    params_stride_1,
    params_stride_2,
    params_stride_last,
    noise_stride_0,
    noise_stride_1,
    noise_stride_2,
    noise_stride_last,
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
    p_noise = noise + row_offset(row, size_1, size_2, noise_stride_0, noise_stride_1, noise_stride_2)
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)
    # Choose a component.
    o_k = tl.arange(0, BLOCK_K)[None, :]
    best, chosen = best_component(p_params, params_stride_last, p_noise, noise_stride_last, o_k, m_row, K)
    if BLOCK_K_REST:
        o_k = BLOCK_K + tl.arange(0, BLOCK_K_REST)[None, :]
        other, other_chosen = best_component(p_params, params_stride_last, p_noise, noise_stride_last, o_k, m_row, K)
        chosen = tl.where(other > best, other_chosen, chosen)
    # Draw the first channel.
    mean = load_chosen(p_params, params_stride_last, 1, chosen, m_row, K)
    x0 = draw_channel(
        p_params, params_stride_last, p_noise, noise_stride_last, 0, mean, chosen, m_row, K, CHANNELS, BINS
    )
    x1, x2 = x0, x0
    if CHANNELS == 3:
        # Draw g given the rounded r, then b given both.
        r = x0 * (2 / BINS) - 1.0
        mean = load_chosen(p_params, params_stride_last, 2, chosen, m_row, K)
        mean += tanh(load_chosen(p_params, params_stride_last, 7, chosen, m_row, K)) * r
        x1 = draw_channel(
            p_params, params_stride_last, p_noise, noise_stride_last, 1, mean, chosen, m_row, K, CHANNELS, BINS
        )
        g = x1 * (2 / BINS) - 1.0
        mean = load_chosen(p_params, params_stride_last, 3, chosen, m_row, K)
        mean += tanh(load_chosen(p_params, params_stride_last, 8, chosen, m_row, K)) * r
        mean += tanh(load_chosen(p_params, params_stride_last, 9, chosen, m_row, K)) * g
        x2 = draw_channel(
            p_params, params_stride_last, p_noise, noise_stride_last, 2, mean, chosen, m_row, K, CHANNELS, BINS
        )
    # Score the draw.
    x0, x1, x2 = x0.to(tl.int32), x1.to(tl.int32), x2.to(tl.int32)
    prior_top, prior_rest, joint_top, joint_rest = row_sums(
        p_params, params_stride_last, x0, x1, x2, m_row, K, CHANNELS, BINS, LOG2_BINS, BLOCK_K, BLOCK_K_REST
    )
    tl.store(p_x, x0.to(tl.int64), mask=m_row)
    if CHANNELS == 3:
        tl.store(p_x + x_stride_last, x1.to(tl.int64), mask=m_row)
        tl.store(p_x + 2 * x_stride_last, x2.to(tl.int64), mask=m_row)
    b_out = log_prob_of_sums(prior_top, prior_rest, joint_top, joint_rest)
    p_out = out + row_offset(row, size_1, size_2, out_stride_0, out_stride_1, out_stride_2)
    tl.store(p_out, b_out, mask=m_row)


@triton.jit
def best_component(p_params, params_stride_last, p_noise, noise_stride_last, o_k, m_row, K: tl.constexpr):
    """Return the highest logit plus noise among components ``o_k`` (1, BLOCK_K), and the first component with it.

    NaN counts as the highest.
    """
    mask = m_row[:, None] & (o_k < K)  # (BLOCK_ROWS, BLOCK_K)
    score = load_group(p_params, params_stride_last, o_k, mask, K, 0)
    score += load_group(p_noise, noise_stride_last, o_k, mask, K, 0)
    score = tl.where(score == score, score, float("inf"))
    score = tl.where(o_k < K, score, float("-inf"))
    best = tl.max(score, 1)
    return best, tl.min(tl.where(score == best[:, None], o_k, K - 1), 1)


@triton.jit
def load_chosen(p_params, params_stride_last, GROUP: tl.constexpr, chosen, m_row, K: tl.constexpr):
    """Load the number of the chosen component from one of the groups of K, which are in cache by now."""
    return widen(tl.load(p_params + (GROUP * K + chosen).to(tl.int64) * params_stride_last, mask=m_row, other=0.0))


@triton.jit
def draw_channel(
    p_params,
    params_stride_last,
    p_noise,
    noise_stride_last,
    C: tl.constexpr,
    mean,
    chosen,
    m_row,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
):
    """Return the drawn levels (BLOCK_ROWS,) of channel C, as floating-point numbers."""
    log_scale = load_chosen(p_params, params_stride_last, 1 + CHANNELS + C, chosen, m_row, K)
    scale = tl.exp(tl.maximum(log_scale, FLOOR))
    b_noise = widen(tl.load(p_noise + tl.full([1], K + C, tl.int64) * noise_stride_last, mask=m_row, other=0.0))
    value = (mean + scale * b_noise + 1.0) * (BINS / 2)
    return round_half_even(tl.minimum(tl.maximum(value, 0.0), BINS * 1.0))


@triton.jit
def round_half_even(x):
    """Round to the nearest integer, halves to the even one, as ``torch.round`` does."""
    low = tl.floor(x)
    beyond = x - low
    odd = low - 2.0 * tl.floor(low * 0.5)
    return low + tl.where((beyond > 0.5) | ((beyond == 0.5) & (odd > 0)), 1.0, 0.0)


def _triton(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    shape = params.shape[:-1]
    x = empty(shape if channels == 1 else (*shape, channels), torch.int64, params.device)
    out = empty(shape, mixture.result_dtype(params), params.device)
    found = rows_of(NAME, params[..., 0], noise[..., 0], x if channels == 1 else x[..., 0], out)
    params_strides, noise_strides, x_strides, out_strides = found.strides
    tile = mixture.tile(params, components, channels)
    launch(
        logistic_mixture_sample_kernel,
        (triton.cdiv(found.count, tile["BLOCK_ROWS"]),),
        params,
        noise,
        x,
        out,
        found.count,
        *found.inner,
        *params_strides,
        params.stride(-1),
        *noise_strides,
        noise.stride(-1),
        *x_strides,
        1,
        *out_strides,
        DENSE=mixture.is_dense(found, 0, params),
        **mixture.constants(levels, components, channels),
        **tile,
    )
    return x, out


def _eager(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    x = mixture.draw(params, noise, levels, components, channels)
    return x, mixture.log_prob(params, x, levels, components, channels)


@torch.no_grad()
def logistic_mixture_sample(
    params: Tensor,
    noise: Tensor,
    *,
    levels: int,
    components: int,
    channels: int = 1,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Levels drawn from a discretized mixture of logistics, and their log-probability in nats.

    A component is the arg-max of logits and Gumbel noise, the first of several; a level is the nearest to
    mean + scale * (logistic noise), halves to the even one, none beyond the first and the last: its law is
    that of ``logistic_mixture_log_prob``. With three channels, g's mean depends on the rounded r, b's on the
    rounded r and g. Nothing is differentiated.

    Args:
        params: (..., P) of any strides, as of ``logistic_mixture_log_prob``.
        noise: (..., K + C): K standard Gumbel numbers, then a standard logistic one for each channel; of the
            parameters' dtype.
        levels: 2 to 2^24.
        components: K.
        channels: C, 1 or 3.
        backend: "eager" or "triton"; by the device without it.

    Returns:
        int64 levels (...,) or, with three channels, (..., 3); log-probabilities (...,), float32 or, of
        float64 parameters, float64.

    Raises:
        ValueError: sizes or devices do not fit, or more than three axes of rows that strides do not merge.
        TypeError: params or noise are not floating-point, or not of one dtype.

    Source: Salimans et al., *PixelCNN++*, 2017, sections 2.1 and 2.2.
    """
    mixture.check(NAME, params, levels, components, channels)
    floating(NAME, params=params, noise=noise)
    same_device(NAME, params=params, noise=noise)
    expected = (*params.shape[:-1], components + channels)
    if noise.shape != expected:
        raise ValueError(
            f"{NAME}: noise must have shape {expected} beside params of shape {tuple(params.shape)}, "
            f"not {tuple(noise.shape)}"
        )
    run = _eager if choose(NAME, backend, params) == "eager" else _triton
    return run(params, noise, levels, components, channels)


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
    shape = (rows, components + channels)
    u = normal(shape, torch.float64, device, generator).mul(math.sqrt(0.5)).erfc() / 2
    gumbel, logistic = -(-u[:, :components].log()).log(), u[:, components:].logit()
    return {
        "params": mixture.some_params(rows, components, channels, layout, dtype, device, generator),
        "noise": torch.cat([gumbel, logistic], dim=1).to(dtype),
        "levels": levels,
        "components": components,
        "channels": channels,
    }


def _near_ties(inputs: Inputs, dtype: torch.dtype) -> Tensor:
    """Rows where the two best components, or a channel and the border of a bin, are close together.

    What is added up rounds to within 3 steps of its size in plain PyTorch; a GPU's exponentials add a few.
    """
    params, noise, levels = inputs["params"], inputs["noise"], inputs["levels"]
    components, channels = inputs["components"], inputs["channels"]
    slack = 8 * torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    near = params.new_zeros(params.shape[:-1], dtype=torch.bool)
    if components > 1:
        best = (params[..., :components] + noise[..., :components]).topk(2, dim=-1).values
        near = best[..., 0] - best[..., 1] <= slack * (1 + best[..., 0].abs())
    value, size = mixture.continuous(params, noise, levels, components, channels)
    inside = value.clamp(0, levels - 1)
    border = (inside - 0.5).round().clamp(0, levels - 2) + 0.5
    return near | ((value - border).abs() <= slack * size).any(-1)


def _cost(op: Op, inputs: Inputs) -> Cost:
    params, noise, channels = inputs["params"], inputs["noise"], inputs["channels"]
    rows = math.prod(params.shape[:-1])
    moved = rows * (8 * channels + mixture.result_dtype(params).itemsize)
    per_component = 9 + 35 * channels + (27 if channels == 3 else 0)
    return Cost(params.nbytes + noise.nbytes + moved, rows * inputs["components"] * per_component)


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], mixture.width(config.get("components", 10), config.get("channels", 1))


LOGISTIC_MIXTURE_SAMPLE = Kernel(
    name=NAME,
    summary="a draw from a discretized mixture of logistics, and its log-probability",
    call=logistic_mixture_sample,
    inputs=_inputs,
    cost=_cost,
    formula={"forward": "bytes = R ((P + K + C) s + 8 C + 4), FLOPs = R K (9 + 35 C), 122 R K of three channels"},
    matrix=[
        dict(rows=4096, components=10),
        dict(rows=4096, components=10, levels=65536, layout="columns"),
        dict(rows=4096, components=10, channels=3),
    ],
    checks=[
        dict(rows=151, components=10),
        dict(rows=9, components=13, layout="columns"),
        dict(rows=67, components=10, channels=3),
        dict(rows=2, components=1, levels=2),
    ],
    sizes={
        "cpu": [dict(rows=16000, components=10, levels=65536)],
        "cuda": [
            dict(rows=2**23, components=10, levels=65536),
            dict(rows=2**21, components=10, channels=3),
        ],
    },
    dims=_dims,
    element="parameter",
    near_ties=_near_ties,
    vectorised=mixture.vectorised,
)
"""See ``logistic_mixture_sample``."""

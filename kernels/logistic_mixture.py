"""The discretized mixture of logistics of PixelCNN++: reference, layout of the parameters, and a bin's mass.

With a = z + v and b = z - v the ends of a bin on the scale of a logistic, z its centre and v half its width,
its mass is s(a) - s(b) = s(a) s(-b) (1 - exp(-2v)). By symmetry z >= 0 may be taken, and then

    s(a) - s(b) = exp(-max(z - v, 0)) (1 - exp(-2v)) / ((1 + exp(-|z - v|)) (1 + exp(-(z + v))))

where two exponentials give the third as their product. Programs keep a mass as 2^linear * factor, ``factor``
between 0.15 and 1: nothing under- or overflows, whatever scale and distance, and a sum over components takes
one logarithm a row and none a component. For narrow bins 1 - exp(-2v) = 2v exp(-v) sinh(v)/v, a short series.
Distances are counted in half bins, u = (2x - (levels-1)) - mean (levels-1), by one fused multiply-add:
a mean beside its level loses no digits.

Instructions a component, K = 10 on sm_90, forward: 162 with the ten components in sixteen lanes, 76 with them
in eight and two, as it is. exp takes five of them, exp2 one, a logarithm 28, a division eight, 1/sqrt one.

Source: Salimans et al., *PixelCNN++*, 2017, sections 2.1 and 2.2.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn.functional import logsigmoid

from arbench.kernels.kernel import Config, floating, normal, same_device
from arbench.kernels.rows import Rows, row_offset, widen

LOG_SCALE_FLOOR = -14.0
"""Log-scales below it count as it."""
MOST_LEVELS = 2**24
"""float32 counts no further."""
MOST_COMPONENTS = 1024
"""One program holds all of a row."""

FLOOR = tl.constexpr(LOG_SCALE_FLOOR)
_LOG2E = tl.constexpr(math.log2(math.e))
LN2 = tl.constexpr(math.log(2))


def width(components: int, channels: int) -> int:
    """Parameters of an element (one channel) or a pixel (three).

    One channel: K logits, K means, K log-scales. Three: K logits; means of r, of g, of b; log-scales of r, of
    g, of b; coefficients r to g, r to b, g to b, before their tanh. Each a block of K numbers side by side.
    """
    return components * (3 if channels == 1 else 10)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision widened: it holds neither 65,536 levels nor a difference of two of them."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def check(name: str, params: Tensor, levels: int, components: int, channels: int) -> None:
    """Demands what every call of a mixture must be given.

    Raises:
        TypeError: params are not floating-point.
        ValueError: their last axis, levels, components or channels are out of range.
    """
    floating(name, params=params)
    if not 2 <= levels <= MOST_LEVELS:
        raise ValueError(f"{name}: levels must lie in 2 .. {MOST_LEVELS}, not {levels}")
    if not 1 <= components <= MOST_COMPONENTS:
        raise ValueError(f"{name}: components must lie in 1 .. {MOST_COMPONENTS}, not {components}")
    if channels not in (1, 3):
        raise ValueError(f"{name}: channels must be 1 or 3, not {channels}")
    needed = width(components, channels)
    if params.dim() == 0 or params.shape[-1] != needed:
        raise ValueError(
            f"{name}: params of {components} components and {channels} channels end in an axis of {needed}; "
            f"their shape is {tuple(params.shape)}"
        )


def check_levels(name: str, params: Tensor, x: Tensor, channels: int) -> None:
    """Demands levels (...,) or (..., 3) beside params (..., P). Raises TypeError or ValueError."""
    if x.dtype != torch.int64:
        raise TypeError(f"{name}: x must be int64, not {x.dtype}")
    same_device(name, params=params, x=x)
    expected = (*params.shape[:-1], *((channels,) if channels > 1 else ()))
    if x.shape != expected:
        raise ValueError(
            f"{name}: x must have shape {tuple(expected)} beside params of shape {tuple(params.shape)}, "
            f"not {tuple(x.shape)}"
        )


def scale_of(log_scales: Tensor) -> Tensor:
    """Scales, none below the floor."""
    return log_scales.clamp_min(LOG_SCALE_FLOOR).exp()


def split(params: Tensor, components: int, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits (..., K), means and log-scales (..., C, K), and tanh of the coefficients (..., 0 or 3, K)."""
    blocks = params.unflatten(-1, (-1, components))
    logits, means, log_scales, coefficients = blocks.split(
        [1, channels, channels, 0 if channels == 1 else 3], dim=-2
    )
    return logits.squeeze(-2), means, log_scales, coefficients.tanh()


def shifted(means: Tensor, coefficients: Tensor, position: Tensor) -> Tensor:
    """Means (..., C, K) given the channels' positions (..., C): g's moves with r, b's with r and g."""
    if means.shape[-2] == 1:
        return means
    r, g = position[..., 0:1], position[..., 1:2]
    rg, rb, gb = coefficients.unbind(-2)
    mean_r, mean_g, mean_b = means.unbind(-2)
    return torch.stack([mean_r, mean_g + rg * r, mean_b + rb * r + gb * g], dim=-2)


def log_prob(params: Tensor, x: Tensor, levels: int, components: int, channels: int) -> Tensor:
    """Reference of ``logistic_mixture_log_prob``, in plain PyTorch."""
    params = at_least_float32(params)
    logits, means, log_scales, coefficients = split(params, components, channels)
    x = x if channels > 1 else x.unsqueeze(-1)  # (..., C)
    half = 1 / (levels - 1)
    position = x.to(params.dtype) * (2 * half) - 1
    centre = position.unsqueeze(-1) - shifted(means, coefficients, position)  # (..., C, K)
    inverse = (-log_scales.clamp_min(LOG_SCALE_FLOOR)).exp()
    below = logsigmoid((centre + half) * inverse)
    above = logsigmoid((half - centre) * inverse)
    gap = torch.log(-torch.expm1(-2 * half * inverse))
    x = x.unsqueeze(-1)
    mass = torch.where(x == 0, below, torch.where(x == levels - 1, above, below + above + gap))
    return torch.logsumexp(logits.log_softmax(-1) + mass.sum(-2), dim=-1)


def continuous(
    params: Tensor, noise: Tensor, levels: int, components: int, channels: int
) -> tuple[Tensor, Tensor]:
    """Draws (..., C) on the scale of levels before they are rounded, and the size of what adds up to each."""
    logits, means, log_scales, coefficients = split(at_least_float32(params), components, channels)
    noise = at_least_float32(noise)
    chosen = (logits + noise[..., :components]).argmax(-1, keepdim=True)  # (..., 1)
    half = (levels - 1) / 2

    def of_chosen(numbers: Tensor) -> Tensor:
        return numbers.gather(-1, chosen.unsqueeze(-2).expand(*numbers.shape[:-1], 1)).squeeze(-1)

    mean, scale, weight = of_chosen(means), scale_of(of_chosen(log_scales)), of_chosen(coefficients)
    value: list[Tensor] = []
    size: list[Tensor] = []
    position: list[Tensor] = []
    for c in range(channels):
        centre = mean[..., c]
        for before in range(c):
            centre = centre + weight[..., c - 1 + before] * position[before]
        spread = scale[..., c] * noise[..., components + c]
        value.append((centre + spread + 1) * half)
        size.append((centre.abs() + spread.abs() + 1) * half)
        position.append(value[c].clamp(0, levels - 1).round() * (2 / (levels - 1)) - 1)
    return torch.stack(value, dim=-1), torch.stack(size, dim=-1)


def draw(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> Tensor:
    """Reference of ``logistic_mixture_sample``'s levels, in plain PyTorch."""
    value, _ = continuous(params, noise, levels, components, channels)
    x = value.clamp(0, levels - 1).round().long()
    return x if channels > 1 else x.squeeze(-1)


def result_dtype(params: Tensor) -> torch.dtype:
    """Of log-probabilities: float32, or float64 of float64."""
    return torch.float64 if params.dtype == torch.float64 else torch.float32


def parts(components: int) -> tuple[int, int]:
    """Components as two tiles, powers of two wide: 10 as 8 and 2; the second 0 where one tile does.

    Sixteen lanes for ten components would do 1.6 times the work.
    """
    whole = triton.next_power_of_2(components)
    if whole == components:
        return whole, 0
    rest = triton.next_power_of_2(components - whole // 2)
    return (whole, 0) if whole // 2 + rest == whole else (whole // 2, rest)


@triton.jit
def reciprocal(x):
    """1 / x of a moderate positive x: the division of float32 takes eight instructions, this takes two."""
    if x.dtype == tl.float64:
        return 1.0 / x
    else:
        root = tl.rsqrt(x)
        return root * root


@triton.jit
def tanh(x):
    e = tl.exp2(tl.abs(x) * (-2 * _LOG2E))
    t = (1.0 - e) * reciprocal(1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def sinhc(v):
    """sinh(v) / v for 0 <= v <= 1/2."""
    u = v * v
    if v.dtype == tl.float64:
        tail = 1 / 362880 + u * (1 / 39916800 + u * (1 / 6227020800 + u / 1307674368000))
        return 1.0 + u * (1 / 6 + u * (1 / 120 + u * (1 / 5040 + u * tail)))
    else:
        return 1.0 + u * (1 / 6 + u * (1 / 120 + u * (1 / 5040)))


@triton.jit
def bin_mass(u, log_scale, x, BINS: tl.constexpr, LOG2_BINS: tl.constexpr):
    """One logistic's mass in a bin, and its derivatives.

    Args:
        u: (ROWS, KP), from the mean up to the level, in half bins.
        x: (ROWS, KP), the level: the first bin holds the lower tail, the last one the upper.

    Returns:
        ``linear`` and ``factor``: the mass is 2^linear * factor. ``slope``: d log(mass) / du. ``growth``:
        -d log(mass) / d log_scale.
    """
    first = x == 0
    last = x == BINS
    edge = first | last
    e = tl.where(log_scale < FLOOR, FLOOR, log_scale) * -_LOG2E - LOG2_BINS  # NaN stays
    v = tl.exp2(e)  # half a bin, in scales
    steep = v * _LOG2E
    side = tl.where(first, -u, tl.where(last, u, tl.abs(u)))
    d = side - 1.0  # beyond the nearer end of the bin, or its only one
    outside = d >= 0
    near = tl.exp2(tl.abs(d) * -steep)
    absent = tl.where(edge, float("-inf"), 0.0)  # of a bin with one end, what belongs to the other is 0
    rest = tl.exp2((1.0 + tl.minimum(tl.abs(u), 1.0)) * -steep + absent)
    both = near * rest
    far = tl.where(outside, both, rest)  # exp(-(side + 1) v); 0 without a farther end
    gap = tl.where(outside, rest, both)  # exp(-2v); 0 likewise
    narrow = v < tl.where(edge, 0.0, 0.5)
    shape = tl.where(narrow, sinhc(v), 1.0 - gap)
    linear = tl.where(narrow, (e + 1.0) - steep, 0.0) - tl.maximum(d, 0.0) * steep
    weight = reciprocal((1.0 + near) * (1.0 + far))
    below = far * (1.0 + near) * weight
    above = tl.where(outside, 1.0, near) * (1.0 + far) * weight
    slope = (below - above) * v
    end = tl.where(narrow, tl.exp2(-steep), 2.0 * v * gap) * reciprocal(shape)
    growth = slope * side + (below + above) * v + end
    growth = tl.where(log_scale < FLOOR, 0.0, growth)
    slope = tl.where(first | ((u < 0) & (last == 0)), -slope, slope)
    return linear, shape * weight, slope, growth


@triton.jit
def column(p_row, pc, o, mask, K: tl.constexpr, BLOCK: tl.constexpr):
    """Numbers (ROWS, KP) of one of the blocks of K that parameters are made of."""
    return widen(tl.load(p_row[:, None] + (BLOCK * K + o).to(tl.int64) * pc, mask=mask, other=0.0))


@triton.jit
def level(p_x, xc, m_row, C: tl.constexpr):
    """A channel's levels (ROWS,)."""
    return tl.load(p_x + tl.full([1], C, tl.int64) * xc, mask=m_row, other=0).to(tl.int32)


@triton.jit
def masses(
    p_row, pc, x0, x1, x2, o, m_row, K: tl.constexpr, CHANNELS: tl.constexpr, BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
):  # fmt: skip
    """Components' masses of levels, over all channels.

    Args:
        p_row: (ROWS,), where rows of parameters begin.
        x0, x1, x2: (ROWS,), levels of each channel.
        o: (1, KP), components.

    Returns:
        (ROWS, KP) each: logits as powers of two, -inf beside the last; ``linear`` and ``factor``; tuples over
        channels, of ``slope`` and of ``growth``; the coefficients' tanh rg, rb, gb.
    """
    mask = m_row[:, None] & (o < K)  # (ROWS, KP)
    b_logit = tl.where(o < K, column(p_row, pc, o, mask, K, 0) * _LOG2E, float("-inf"))
    b_mean, b_scale = column(p_row, pc, o, mask, K, 1), column(p_row, pc, o, mask, K, 1 + CHANNELS)
    # Spread over the tile before anything is derived: one change of layout instead of five.
    x0, x1, x2 = x0[:, None] + 0 * o, x1[:, None] + 0 * o, x2[:, None] + 0 * o
    n0 = (2 * x0 - BINS).to(b_mean.dtype)
    u = tl.fma(b_mean, -BINS * 1.0, n0)
    linear, factor, slope0, growth0 = bin_mass(u, b_scale, x0, BINS, LOG2_BINS)
    if CHANNELS == 1:
        return b_logit, linear, factor, (slope0, slope0, slope0), (growth0, growth0, growth0), (u, u, u)
    else:
        n1, n2 = (2 * x1 - BINS).to(b_mean.dtype), (2 * x2 - BINS).to(b_mean.dtype)
        rg = tanh(column(p_row, pc, o, mask, K, 7))
        rb = tanh(column(p_row, pc, o, mask, K, 8))
        gb = tanh(column(p_row, pc, o, mask, K, 9))
        u1 = tl.fma(column(p_row, pc, o, mask, K, 2), -BINS * 1.0, n1) - rg * n0
        linear1, factor1, slope1, growth1 = bin_mass(
            u1, column(p_row, pc, o, mask, K, 5), x1, BINS, LOG2_BINS
        )
        u2 = tl.fma(column(p_row, pc, o, mask, K, 3), -BINS * 1.0, n2) - rb * n0 - gb * n1
        linear2, factor2, slope2, growth2 = bin_mass(
            u2, column(p_row, pc, o, mask, K, 6), x2, BINS, LOG2_BINS
        )
        return (
            b_logit,
            linear + linear1 + linear2,
            factor * factor1 * factor2,
            (slope0, slope1, slope2),
            (growth0, growth1, growth2),
            (rg, rb, gb),
        )


@triton.jit
def log2_sum(linear, factor):
    """log2 of sum 2^linear * factor along the last axis, (ROWS,) maximum and rest; of nothing, -inf and 0."""
    top = tl.max(linear, 1)
    safe = tl.where(top == float("-inf"), 0.0, top)
    return top, tl.sum(tl.exp2(linear - safe[:, None]) * factor, 1)


@triton.jit
def log2_add(top, total, other_top, other_total):
    """Two of ``log2_sum``'s results as one."""
    most = tl.maximum(top, other_top)
    safe = tl.where(most == float("-inf"), 0.0, most)
    return most, total * tl.exp2(top - safe) + other_total * tl.exp2(other_top - safe)


@triton.jit
def sums(part):
    """``log2_sum`` of the logits of ``masses``, and of the logits with the masses."""
    top, total = log2_sum(part[0], 1.0)
    best, mass = log2_sum(part[0] + part[1], part[2])
    return top, total, best, mass


@triton.jit
def add_sums(top, total, best, mass, other):
    """Two of ``sums``' results as one."""
    top, total = log2_add(top, total, other[0], other[1])
    best, mass = log2_add(best, mass, other[2], other[3])
    return top, total, best, mass


@triton.jit
def row_starts(params, row, first_row, n1, n2, s0, s1, s2, pitch: tl.constexpr, DENSE: tl.constexpr):
    """Where rows of parameters begin, (ROWS,); from a constant pitch the compiler sees their alignment."""
    if DENSE:
        return params + first_row * pitch + (row - first_row).to(tl.int32) * pitch
    else:
        return params + row_offset(row, n1, n2, s0, s1, s2)


def is_dense(rows: Rows, tensor: int, params: Tensor) -> bool:
    """Whether rows of parameters follow each other without a gap."""
    return (
        rows.inner == (1, 1) and params.stride(-1) == 1 and rows.strides[tensor] == (params.shape[-1], 0, 0)
    )


def tile(params: Tensor, components: int, channels: int, *, backward: bool = False) -> dict[str, int]:
    """Rows that one program holds, how its components lie in tiles, and its warps.

    Eight components a thread, or four of three channels: registers for two dozen warps on a multiprocessor.
    Half precision takes sixteen where it may. A backward program of one warp has no barriers where it changes
    between its tiles' layouts.
    """
    main, rest = parts(components)
    elements, warps = (512, 2) if channels == 1 else (256, 2)
    if channels == 1 and backward:
        elements, warps = 256, 1
    elif channels == 1 and params.itemsize == 2:
        elements = 1024
    return dict(
        ROWS=max(1, elements // main), MAIN=main, REST=rest, num_warps=warps * max(1, main // elements)
    )


def constants(levels: int, components: int, channels: int) -> dict[str, Any]:
    """What programs are compiled for."""
    return dict(
        K=components, CHANNELS=channels, PITCH=width(components, channels), BINS=levels - 1,
        LOG2_BINS=math.log2(levels - 1),
    )  # fmt: skip


def some_params(
    rows: int, components: int, channels: int, layout: str, dtype: torch.dtype, device: torch.device | str,
    generator: torch.Generator | None,
) -> Tensor:  # fmt: skip
    """Parameters (rows, P): means on both sides of the levels, scales of some levels of 256.

    With the layout "columns" it is the rows that lie side by side, as a convolution gives them.
    """
    params = normal((rows, width(components, channels)), dtype, device, generator)
    k = components
    params[:, k : k + k * channels] *= 0.5
    params[:, k + k * channels : k + 2 * k * channels] -= 3
    return params if layout == "rows" else params.t().contiguous().t()


def some_levels(
    rows: int, levels: int, channels: int, device: torch.device | str, generator: torch.Generator | None
) -> Tensor:
    """Levels, the first and the last one often."""
    shape = (rows,) if channels == 1 else (rows, channels)
    if torch.device(device).type == "meta":
        return torch.empty(shape, dtype=torch.int64, device=device)
    where = "cpu" if generator is None else generator.device
    wide = torch.randint(-levels // 4, levels + levels // 4, shape, generator=generator, device=where)
    return wide.clamp(0, levels - 1).to(device)


def vectorised(program: str, config: Config) -> bool:
    """Whether rows lie side by side. Components do so at multiples of 16 bytes only where K is one of 4."""
    return config.get("layout") == "columns"

"""Programs of the mixture of logistics: the mass of a bin, and sums of masses over components.

With a = z + v and b = z - v the ends of a bin on the scale of a logistic, z its centre and v half its width,
its mass is s(a) - s(b) = s(a) s(-b) (1 - exp(-2v)). By symmetry z >= 0 may be taken, and then

    s(a) - s(b) = exp(-max(z - v, 0)) (1 - exp(-2v)) / ((1 + exp(-|z - v|)) (1 + exp(-(z + v))))

where two exponentials give the third as their product. Programs keep a mass as 2^linear * factor, ``factor``
between 0.15 and 1: nothing under- or overflows, whatever scale and distance, and a sum over components takes
one logarithm a row and none a component. For narrow bins 1 - exp(-2v) = 2v exp(-v) sinh(v)/v, a short series.
Distances are counted in half bins, u = (2x - (levels-1)) - mean (levels-1), by one fused multiply-add:
a mean beside its level loses no digits.

Instructions a component, K = 10 on sm_90, forward: 151 with the ten components in sixteen lanes, 76 with them
in eight and two, as it is. exp takes five of them, exp2 one, a logarithm 28, a division eight, 1/sqrt one.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

from arbench.kernels.core.rows import row_offset, widen
from arbench.kernels.mixture.parameters import LOG_SCALE_FLOOR

FLOOR = tl.constexpr(LOG_SCALE_FLOOR)
_LOG2E = tl.constexpr(math.log2(math.e))
LN2 = tl.constexpr(math.log(2))


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
    p_row,
    pc,
    x0,
    x1,
    x2,
    o,
    m_row,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
):
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
        linear1, factor1, slope1, growth1 = bin_mass(u1, column(p_row, pc, o, mask, K, 5), x1, BINS, LOG2_BINS)
        u2 = tl.fma(column(p_row, pc, o, mask, K, 3), -BINS * 1.0, n2) - rb * n0 - gb * n1
        linear2, factor2, slope2, growth2 = bin_mass(u2, column(p_row, pc, o, mask, K, 6), x2, BINS, LOG2_BINS)
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

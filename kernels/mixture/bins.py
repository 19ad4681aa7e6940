"""Building blocks of the mixture's programs: the mass of a bin, and sums of masses over components.

Let z be the centre of a bin and v half its width, in units of the logistic's scale. With ends a = z + v and
b = z - v its mass is s(a) - s(b) = s(a) s(-b) (1 - exp(-2v)). By symmetry assume z >= 0; then

    s(a) - s(b) = exp(-max(z - v, 0)) (1 - exp(-2v)) / ((1 + exp(-|z - v|)) (1 + exp(-(z + v))))

where the third exponential is the product of two others. Programs keep a mass as 2^linear * factor, with
``factor`` between 0.15 and 1: nothing under- or overflows, whatever the scale and distance, and a sum over
components takes one logarithm per row and none per component. For narrow bins 1 - exp(-2v) is
2v exp(-v) sinh(v)/v, with a short series. Distances are in half bins, u = (2x - (levels-1)) - mean (levels-1),
computed by one fused multiply-add, so that a mean close to its level loses no digits.

Instructions per component, K = 10 on sm_90, forward: 76 with the ten components in blocks of eight and two, as
here; 151 with one block of sixteen. exp takes five instructions, exp2 one, a logarithm 28, a division eight,
1/sqrt one.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

from arbench.kernels.core.rows import row_block, row_offset, widen
from arbench.kernels.mixture.parameters import LOG_SCALE_FLOOR

FLOOR = tl.constexpr(LOG_SCALE_FLOOR)
_LOG2E = tl.constexpr(math.log2(math.e))
LN2 = tl.constexpr(math.log(2))


@triton.jit
def reciprocal(x):
    """Return 1 / x for a positive x of moderate size; two instructions, where a float32 division takes eight."""
    if x.dtype == tl.float64:
        return 1.0 / x
    else:
        root = tl.rsqrt(x)
        return root * root


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent from one exponential."""
    e = tl.exp2(tl.abs(x) * (-2 * _LOG2E))
    t = (1.0 - e) * reciprocal(1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def sinhc(v):
    """Return sinh(v) / v for 0 <= v <= 1/2, from its Taylor series."""
    u = v * v
    if v.dtype == tl.float64:
        tail = 1 / 362880 + u * (1 / 39916800 + u * (1 / 6227020800 + u / 1307674368000))
        return 1.0 + u * (1 / 6 + u * (1 / 120 + u * (1 / 5040 + u * tail)))
    else:
        return 1.0 + u * (1 / 6 + u * (1 / 120 + u * (1 / 5040)))


@triton.jit
def bin_mass(u, log_scale, x, BINS: tl.constexpr, LOG2_BINS: tl.constexpr):
    """Return the mass of one logistic in a bin, and its derivatives.

    Args:
        u: (BLOCK_ROWS, BLOCK_K), distance from the mean up to the level, in half bins.
        log_scale: (BLOCK_ROWS, BLOCK_K).
        x: (BLOCK_ROWS, BLOCK_K), the level; the first bin includes the lower tail, the last bin the upper one.
        BINS: levels - 1.
        LOG2_BINS: log2(levels - 1).

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
    # Exponentials at the ends of the bin; an edge bin has one end.
    side = tl.where(first, -u, tl.where(last, u, tl.abs(u)))
    d = side - 1.0  # distance beyond the nearer end of the bin
    outside = d >= 0
    near = tl.exp2(tl.abs(d) * -steep)
    absent = tl.where(edge, float("-inf"), 0.0)  # makes the terms of the missing end 0
    rest = tl.exp2((1.0 + tl.minimum(tl.abs(u), 1.0)) * -steep + absent)
    both = near * rest
    far = tl.where(outside, both, rest)  # exp(-(side + 1) v); 0 without a farther end
    gap = tl.where(outside, rest, both)  # exp(-2v); 0 without a farther end
    # The mass; narrow bins use the series.
    narrow = v < tl.where(edge, 0.0, 0.5)
    shape = tl.where(narrow, sinhc(v), 1.0 - gap)
    linear = tl.where(narrow, (e + 1.0) - steep, 0.0) - tl.maximum(d, 0.0) * steep
    weight = reciprocal((1.0 + near) * (1.0 + far))
    # Its derivatives.
    below = far * (1.0 + near) * weight
    above = tl.where(outside, 1.0, near) * (1.0 + far) * weight
    slope = (below - above) * v
    end = tl.where(narrow, tl.exp2(-steep), 2.0 * v * gap) * reciprocal(shape)
    growth = slope * side + (below + above) * v + end
    growth = tl.where(log_scale < FLOOR, 0.0, growth)
    slope = tl.where(first | ((u < 0) & (last == 0)), -slope, slope)
    return linear, shape * weight, slope, growth


@triton.jit
def load_group(p_row, stride, o_k, mask, K: tl.constexpr, GROUP: tl.constexpr):
    """Load numbers (BLOCK_ROWS, BLOCK_K) of one of the groups of K that parameters consist of."""
    return widen(tl.load(p_row[:, None] + (GROUP * K + o_k).to(tl.int64) * stride, mask=mask, other=0.0))


@triton.jit
def load_levels(
    x,
    row,
    m_row,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_last,
    CHANNELS: tl.constexpr,
):
    """Load the levels (BLOCK_ROWS,) of r, g and b; of the only channel three times if there is one."""
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)
    x0 = load_level(p_x, x_stride_last, m_row, 0)
    x1 = load_level(p_x, x_stride_last, m_row, CHANNELS // 2)
    x2 = load_level(p_x, x_stride_last, m_row, CHANNELS - 1)
    return x0, x1, x2


@triton.jit
def load_level(p_x, x_stride_last, m_row, C: tl.constexpr):
    """Load the levels (BLOCK_ROWS,) of channel C."""
    return tl.load(p_x + tl.full([1], C, tl.int64) * x_stride_last, mask=m_row, other=0).to(tl.int32)


@triton.jit
def component_masses(
    p_params,
    params_stride_last,
    x0,
    x1,
    x2,
    o_k,
    m_row,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
):
    """Return the mass that each component ``o_k`` (1, BLOCK_K) gives to levels, over all channels.

    ``p_params`` (BLOCK_ROWS,) points to rows of parameters; ``x0``, ``x1`` and ``x2`` (BLOCK_ROWS,) are the levels
    of r, g and b; ``m_row`` (BLOCK_ROWS,) masks rows that do not exist.

    Returns:
        (BLOCK_ROWS, BLOCK_K) each: logits as powers of two, -inf for components from K on; ``linear`` and
        ``factor`` of the product over channels; tuples over channels, of ``slope`` and of ``growth``; tanh of
        the coefficients rg, rb, gb.
    """
    # Load logits, means and log-scales of the first channel.
    mask = m_row[:, None] & (o_k < K)  # (BLOCK_ROWS, BLOCK_K)
    b_logit = load_group(p_params, params_stride_last, o_k, mask, K, 0)
    b_logit = tl.where(o_k < K, b_logit * _LOG2E, float("-inf"))
    b_mean = load_group(p_params, params_stride_last, o_k, mask, K, 1)
    b_log_scale = load_group(p_params, params_stride_last, o_k, mask, K, 1 + CHANNELS)
    # Spread the levels over the tile before anything is derived: one change of layout instead of five.
    x0, x1, x2 = x0[:, None] + 0 * o_k, x1[:, None] + 0 * o_k, x2[:, None] + 0 * o_k
    h0 = (2 * x0 - BINS).to(b_mean.dtype)  # position of the level, in half bins
    u0 = tl.fma(b_mean, -BINS * 1.0, h0)
    linear0, factor0, slope0, growth0 = bin_mass(u0, b_log_scale, x0, BINS, LOG2_BINS)
    if CHANNELS == 1:
        return b_logit, linear0, factor0, (slope0, slope0, slope0), (growth0, growth0, growth0), (u0, u0, u0)
    else:
        # Second and third channel, conditioned on the positions of the channels before.
        h1, h2 = (2 * x1 - BINS).to(b_mean.dtype), (2 * x2 - BINS).to(b_mean.dtype)
        rg = tanh(load_group(p_params, params_stride_last, o_k, mask, K, 7))
        rb = tanh(load_group(p_params, params_stride_last, o_k, mask, K, 8))
        gb = tanh(load_group(p_params, params_stride_last, o_k, mask, K, 9))
        b_mean = load_group(p_params, params_stride_last, o_k, mask, K, 2)
        u1 = tl.fma(b_mean, -BINS * 1.0, h1) - rg * h0
        b_log_scale = load_group(p_params, params_stride_last, o_k, mask, K, 5)
        linear1, factor1, slope1, growth1 = bin_mass(u1, b_log_scale, x1, BINS, LOG2_BINS)
        b_mean = load_group(p_params, params_stride_last, o_k, mask, K, 3)
        u2 = tl.fma(b_mean, -BINS * 1.0, h2) - rb * h0 - gb * h1
        b_log_scale = load_group(p_params, params_stride_last, o_k, mask, K, 6)
        linear2, factor2, slope2, growth2 = bin_mass(u2, b_log_scale, x2, BINS, LOG2_BINS)
        return (
            b_logit,
            linear0 + linear1 + linear2,
            factor0 * factor1 * factor2,
            (slope0, slope1, slope2),
            (growth0, growth1, growth2),
            (rg, rb, gb),
        )


@triton.jit
def log2_sum(linear, factor):
    """Return log2(sum 2^linear * factor) along the last axis as a maximum and a rest; -inf and 0 for no mass."""
    top = tl.max(linear, 1)
    finite_top = tl.where(top == float("-inf"), 0.0, top)
    return top, tl.sum(tl.exp2(linear - finite_top[:, None]) * factor, 1)


@triton.jit
def log2_add(top, rest, other_top, other_rest):
    """Add two results of ``log2_sum``."""
    new_top = tl.maximum(top, other_top)
    finite_top = tl.where(new_top == float("-inf"), 0.0, new_top)
    return new_top, rest * tl.exp2(top - finite_top) + other_rest * tl.exp2(other_top - finite_top)


@triton.jit
def mixture_sums(masses):
    """Return ``log2_sum`` of the logits of ``component_masses``, then of the logits times the masses."""
    prior_top, prior_rest = log2_sum(masses[0], 1.0)
    joint_top, joint_rest = log2_sum(masses[0] + masses[1], masses[2])
    return prior_top, prior_rest, joint_top, joint_rest


@triton.jit
def add_sums(prior_top, prior_rest, joint_top, joint_rest, other):
    """Add two results of ``mixture_sums``."""
    prior_top, prior_rest = log2_add(prior_top, prior_rest, other[0], other[1])
    joint_top, joint_rest = log2_add(joint_top, joint_rest, other[2], other[3])
    return prior_top, prior_rest, joint_top, joint_rest


@triton.jit
def row_sums(
    p_params,
    params_stride_last,
    x0,
    x1,
    x2,
    m_row,
    K: tl.constexpr,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
    LOG2_BINS: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_K_REST: tl.constexpr,
):
    """Return ``mixture_sums`` (BLOCK_ROWS,) over all components of a row."""
    o_k = tl.arange(0, BLOCK_K)[None, :]
    masses = component_masses(p_params, params_stride_last, x0, x1, x2, o_k, m_row, K, CHANNELS, BINS, LOG2_BINS)
    prior_top, prior_rest, joint_top, joint_rest = mixture_sums(masses)
    if BLOCK_K_REST:
        o_k = BLOCK_K + tl.arange(0, BLOCK_K_REST)[None, :]
        masses = component_masses(p_params, params_stride_last, x0, x1, x2, o_k, m_row, K, CHANNELS, BINS, LOG2_BINS)
        prior_top, prior_rest, joint_top, joint_rest = add_sums(
            prior_top, prior_rest, joint_top, joint_rest, mixture_sums(masses)
        )
    return prior_top, prior_rest, joint_top, joint_rest


@triton.jit
def log_prob_of_sums(prior_top, prior_rest, joint_top, joint_rest):
    """Return the log-probability (BLOCK_ROWS,) of levels under the mixture, in nats."""
    return ((joint_top - prior_top) + tl.log2(joint_rest / prior_rest)) * LN2


@triton.jit
def parameter_rows(
    params,
    rows,
    size_1,
    size_2,
    params_stride_0,
    params_stride_1,
    params_stride_2,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
):
    """Return the rows of this program, the mask of those that exist, and pointers to their parameters."""
    row, m_row = row_block(rows, BLOCK_ROWS)
    p_params = row_pointers(
        params, row, size_1, size_2, params_stride_0, params_stride_1, params_stride_2, PITCH, DENSE, BLOCK_ROWS
    )
    return row, m_row, p_params


@triton.jit
def row_pointers(
    params,
    row,
    size_1,
    size_2,
    stride_0,
    stride_1,
    stride_2,
    PITCH: tl.constexpr,
    DENSE: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
):
    """Return pointers (BLOCK_ROWS,) to rows of parameters; a constant pitch shows the compiler their alignment."""
    if DENSE:
        first_row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS
        return params + first_row * PITCH + (row - first_row).to(tl.int32) * PITCH
    else:
        return params + row_offset(row, size_1, size_2, stride_0, stride_1, stride_2)

"""The Triton program that draws levels from the mixture and scores them."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.core.rows import row_offset, widen
from arbench.kernels.mixture.bins import FLOOR, load_group, log_prob_of_sums, parameter_rows, row_sums, tanh
from arbench.kernels.mixture.parameters import LOG_SCALE_CEILING

CEILING = tl.constexpr(LOG_SCALE_CEILING)


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
    """Draw the levels of a block of rows, and compute their log-probabilities."""
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
    """Return the drawn levels (BLOCK_ROWS,) of channel C, as floating-point numbers; 0 where a number is NaN."""
    log_scale = load_chosen(p_params, params_stride_last, 1 + CHANNELS + C, chosen, m_row, K)
    log_scale = tl.where(log_scale < FLOOR, FLOOR, tl.where(log_scale > CEILING, CEILING, log_scale))  # NaN stays
    scale = tl.exp(log_scale)
    b_noise = widen(tl.load(p_noise + tl.full([1], K + C, tl.int64) * noise_stride_last, mask=m_row, other=0.0))
    value = (mean + scale * b_noise + 1.0) * (BINS / 2)
    return round_half_even(tl.minimum(tl.where(value > 0, value, 0.0), BINS * 1.0))


@triton.jit
def round_half_even(x):
    """Round to the nearest integer, halves to the even one, as ``torch.round`` does."""
    low = tl.floor(x)
    beyond = x - low
    odd = low - 2.0 * tl.floor(low * 0.5)
    return low + tl.where((beyond > 0.5) | ((beyond == 0.5) & (odd > 0)), 1.0, 0.0)

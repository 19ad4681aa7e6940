"""Triton programs of the Gumbel arg-max: a draw from each row, and its log-probability."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.core.philox import class_words, exponentials
from arbench.kernels.core.rows import row_block, row_offset, widen

GREEDY, GIVEN, PHILOX = (tl.constexpr(i) for i in range(3))
"""Where the noise comes from: no noise, memory, or the generator."""


@triton.jit(do_not_specialize=["seed", "offset"])
def sample_single_block_kernel(
    x,
    noise,
    index,
    log_prob,
    seed,
    offset,
    inverse_temperature,
    rows,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    noise_stride_0,
    noise_stride_1,
    noise_stride_2,
    noise_stride_v,
    NOISE: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """Draw a class of each row that fits into one block, and compute its log-probability."""
    row, m_row = row_block(rows, BLOCK_ROWS)
    o_v = tl.arange(0, BLOCK_V)
    mask = m_row[:, None] & (o_v < width)[None, :]  # (BLOCK_ROWS, BLOCK_V)
    # Load the logits and shift them by their maximum.
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)  # (BLOCK_ROWS,)
    b_x = tl.load(p_x[:, None] + o_v.to(tl.int64)[None, :] * x_stride_v, mask=mask, other=float("-inf"))
    b_x = widen(b_x) * inverse_temperature
    row_max = tl.max(b_x, 1)
    finite_max = tl.where(row_max == float("-inf"), 0.0, row_max)
    b_exp = tl.exp(b_x - finite_max[:, None])
    # Add the noise; the draw is the first class of the highest score.
    if NOISE == PHILOX:
        word = class_words(seed, (row + offset)[:, None], tl.arange(0, BLOCK_V // 4)[None, :])
        score = b_exp / exponentials(word, b_exp)
    elif NOISE == GIVEN:
        p_noise = noise + row_offset(row, size_1, size_2, noise_stride_0, noise_stride_1, noise_stride_2)[:, None]
        b_noise = tl.load(p_noise + o_v.to(tl.int64)[None, :] * noise_stride_v, mask=mask, other=0.0)
        score = b_x + widen(b_noise)
    else:
        score = b_x
    score = tl.where(score == score, score, float("inf"))
    best = tl.max(score, 1)
    drawn = tl.min(tl.where(score == best[:, None], o_v[None, :], width), 1)
    # The log-probability of the draw.
    b_drawn = widen(tl.load(p_x + drawn.to(tl.int64) * x_stride_v, mask=m_row, other=0.0))
    b_log_prob = b_drawn * inverse_temperature - row_max
    if NOISE == GREEDY:
        b_log_prob -= b_log_prob
    else:
        b_log_prob -= tl.log(tl.sum(b_exp, 1))
    tl.store(index + row, drawn.to(tl.int64), mask=m_row)
    tl.store(log_prob + row, b_log_prob, mask=m_row)


@triton.jit(do_not_specialize=["seed", "offset"])
def sample_online_kernel(
    x,
    noise,
    index,
    log_prob,
    seed,
    offset,
    inverse_temperature,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    noise_stride_0,
    noise_stride_1,
    noise_stride_2,
    noise_stride_v,
    NOISE: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """Draw a class of one wide row, and compute its log-probability."""
    row = tl.program_id(0).to(tl.int64)
    x += row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)
    if NOISE == GIVEN:
        noise += row_offset(row, size_1, size_2, noise_stride_0, noise_stride_1, noise_stride_2)
    tile = tl.arange(0, TILES)[:, None] * BLOCK_V
    lane = tile + tl.arange(0, BLOCK_V)[None, :]  # (TILES, BLOCK_V)
    philox_block = tile // 4 + tl.arange(0, BLOCK_V // 4)[None, :]  # (TILES, BLOCK_V / 4)
    # Keep maximum, sum of exponentials, best score and its class for each lane.
    lane_max = tl.full((BLOCK_V,), float("-inf"), log_prob.dtype.element_ty)
    lane_best = lane_max
    lane_sum = tl.zeros_like(lane_max)
    lane_drawn = tl.zeros((BLOCK_V,), tl.int32)
    for start in range(0, width, TILES * BLOCK_V):
        o_v = start + lane
        b_x = tl.load(x + o_v.to(tl.int64) * x_stride_v, mask=o_v < width, other=float("-inf"))
        b_x = widen(b_x) * inverse_temperature
        if NOISE != GREEDY:
            new_max = tl.maximum(lane_max, tl.max(b_x, 0))
            finite_max = tl.where(new_max == float("-inf"), 0.0, new_max)
            b_exp = tl.exp(b_x - finite_max[None, :])
            lane_sum = lane_sum * tl.exp(lane_max - finite_max) + tl.sum(b_exp, 0)
            if NOISE == PHILOX:  # scores are relative to the lane's maximum, so huge logits keep their noise
                lane_best = tl.where(lane_best == float("inf"), lane_best, lane_best + (lane_max - finite_max))
            lane_max = new_max
        if NOISE == PHILOX:
            word = class_words(seed, row + offset + tl.zeros((1, 1), tl.int64), start // 4 + philox_block)
            score = b_exp / exponentials(word, b_exp)
        elif NOISE == GIVEN:
            b_noise = tl.load(noise + o_v.to(tl.int64) * noise_stride_v, mask=o_v < width, other=0.0)
            score = b_x + widen(b_noise)
        else:
            score = b_x
        score = tl.where(score == score, score, float("inf"))
        tile_best = tl.max(score, 0)
        tile_drawn = tl.min(tl.where(score == tile_best[None, :], o_v, width), 0)
        if NOISE == PHILOX:
            tile_best = tl.log(tile_best)
        lane_drawn = tl.where(tile_best > lane_best, tile_drawn, lane_drawn)
        lane_best = tl.maximum(lane_best, tile_best)
    # Combine the lanes.
    row_max = tl.max(lane_max, 0)
    finite_max = tl.where(row_max == float("-inf"), 0.0, row_max)
    if NOISE == PHILOX:
        lane_best = tl.where(lane_best == float("inf"), lane_best, lane_best + (lane_max - finite_max))
    drawn = tl.min(tl.where(lane_best == tl.max(lane_best, 0), lane_drawn, width), 0).to(tl.int64)
    # The log-probability of the draw.
    b_log_prob = widen(tl.load(x + drawn * x_stride_v)) * inverse_temperature
    if NOISE == GREEDY:
        b_log_prob -= b_log_prob
    else:
        b_log_prob = b_log_prob - row_max - tl.log(tl.sum(lane_sum * tl.exp(lane_max - finite_max), 0))
    tl.store(index + row, drawn)
    tl.store(log_prob + row, b_log_prob)

"""Triton programs of the log-probability of given classes, forward and backward."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.core.rows import row_block, row_offset, widen


@triton.jit
def class_log_prob(p_x, x_stride_v, index, m_row, row_max, log_sum, ignored, IGNORES: tl.constexpr, width):
    """Return the log-probability of class ``index`` of the rows that start at ``p_x``; NaN for an unknown class."""
    known = m_row & (index >= 0) & (index < width)
    b_y = widen(tl.load(p_x + index * x_stride_v, mask=known, other=float("nan"))) - row_max - log_sum
    if IGNORES:
        b_y = tl.where(index == ignored, 0.0, b_y)
    return b_y


@triton.jit
def log_prob_single_block_kernel(
    x,
    index,
    y,
    row_maxima,
    log_sums,
    ignored,
    rows,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    index_stride_0,
    index_stride_1,
    index_stride_2,
    IGNORES: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """Compute log-probabilities and normalisers of rows that fit into one block."""
    row, m_row = row_block(rows, BLOCK_ROWS)
    o_v = tl.arange(0, BLOCK_V)
    p_index = index + row_offset(row, size_1, size_2, index_stride_0, index_stride_1, index_stride_2)
    b_index = tl.load(p_index, mask=m_row, other=0)
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)  # (BLOCK_ROWS,)
    mask = m_row[:, None] & (o_v < width)[None, :]  # (BLOCK_ROWS, BLOCK_V)
    b_x = tl.load(p_x[:, None] + o_v.to(tl.int64)[None, :] * x_stride_v, mask=mask, other=float("-inf"))
    b_x = widen(b_x)
    row_max = tl.max(b_x, 1)
    log_sum = tl.log(tl.sum(tl.exp(b_x - row_max[:, None]), 1))
    b_y = class_log_prob(p_x, x_stride_v, b_index, m_row, row_max, log_sum, ignored, IGNORES, width)
    tl.store(y + row, b_y, mask=m_row)
    tl.store(row_maxima + row, row_max, mask=m_row)
    tl.store(log_sums + row, log_sum, mask=m_row)


@triton.jit
def log_prob_online_kernel(
    x,
    index,
    y,
    row_maxima,
    log_sums,
    ignored,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    index_stride_0,
    index_stride_1,
    index_stride_2,
    IGNORES: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """Compute the log-probability and normaliser of one wide row."""
    row = tl.program_id(0).to(tl.int64)
    b_index = tl.load(index + row_offset(row, size_1, size_2, index_stride_0, index_stride_1, index_stride_2))
    x += row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)
    # Maximum and sum of exponentials of each lane; the sum is rescaled as the maximum grows.
    lane = tl.arange(0, TILES)[:, None] * BLOCK_V + tl.arange(0, BLOCK_V)[None, :]  # (TILES, BLOCK_V)
    lane_max = tl.full((BLOCK_V,), float("-inf"), y.dtype.element_ty)
    lane_sum = tl.zeros_like(lane_max)
    for start in range(0, width, TILES * BLOCK_V):
        o_v = start + lane
        b_x = widen(tl.load(x + o_v.to(tl.int64) * x_stride_v, mask=o_v < width, other=float("-inf")))
        new_max = tl.maximum(lane_max, tl.max(b_x, 0))
        finite_max = tl.where(new_max == float("-inf"), 0.0, new_max)
        lane_sum = lane_sum * tl.exp(lane_max - finite_max) + tl.sum(tl.exp(b_x - finite_max[None, :]), 0)
        lane_max = new_max
    # Combine the lanes.
    row_max = tl.max(lane_max, 0)
    finite_max = tl.where(row_max == float("-inf"), 0.0, row_max)
    log_sum = tl.log(tl.sum(lane_sum * tl.exp(lane_max - finite_max), 0))
    every = b_index == b_index
    tl.store(y + row, class_log_prob(x, x_stride_v, b_index, every, row_max, log_sum, ignored, IGNORES, width))
    tl.store(row_maxima + row, row_max)
    tl.store(log_sums + row, log_sum)


@triton.jit
def log_prob_backward_kernel(
    x,
    index,
    dy,
    row_maxima,
    log_sums,
    dx,
    ignored,
    rows,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    index_stride_0,
    index_stride_1,
    index_stride_2,
    dy_stride_0,
    dy_stride_1,
    dy_stride_2,
    dx_stride_0,
    dx_stride_1,
    dx_stride_2,
    dx_stride_v,
    IGNORES: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """Compute the gradient of a block of logits."""
    blocks = tl.cdiv(width, BLOCK_V)
    row = (tl.program_id(0) // blocks).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    o_v = tl.program_id(0) % blocks * BLOCK_V + tl.arange(0, BLOCK_V)
    m_row = row < rows
    # Load what each row has: its class, the incoming gradient, and the normaliser kept by the forward program.
    p_index = index + row_offset(row, size_1, size_2, index_stride_0, index_stride_1, index_stride_2)
    b_index = tl.load(p_index, mask=m_row, other=0)
    p_dy = dy + row_offset(row, size_1, size_2, dy_stride_0, dy_stride_1, dy_stride_2)
    b_dy = tl.load(p_dy, mask=m_row, other=0.0)
    row_max = tl.load(row_maxima + row, mask=m_row, other=0.0)
    log_sum = tl.load(log_sums + row, mask=m_row, other=0.0)
    known = (b_index >= 0) & (b_index < width)
    column = tl.where(known, b_index, -1).to(tl.int32)
    b_dy = tl.where(known, b_dy, float("nan"))
    # dx = dy ([j = index] - softmax(x)_j)
    mask = m_row[:, None] & (o_v < width)[None, :]  # (BLOCK_ROWS, BLOCK_V)
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)[:, None]
    b_x = widen(tl.load(p_x + o_v.to(tl.int64)[None, :] * x_stride_v, mask=mask, other=0.0))
    b_softmax = tl.exp(b_x - row_max[:, None] - log_sum[:, None])
    b_dx = b_dy[:, None] * (tl.where(o_v[None, :] == column[:, None], 1.0, 0.0) - b_softmax)
    if IGNORES:
        b_dx = tl.where((b_index == ignored)[:, None], 0.0, b_dx)
    p_dx = dx + row_offset(row, size_1, size_2, dx_stride_0, dx_stride_1, dx_stride_2)[:, None]
    tl.store(p_dx + o_v.to(tl.int64)[None, :] * dx_stride_v, b_dx.to(dx.dtype.element_ty), mask=mask)

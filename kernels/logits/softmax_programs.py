"""Triton programs of softmax and log-softmax, forward and backward."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.core.rows import row_block, row_offset, widen


@triton.jit
def softmax_single_pass_kernel(
    x,
    y,
    rows,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_w,
    y_stride_0,
    y_stride_1,
    y_stride_2,
    y_stride_w,
    LOG: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
):
    """Compute softmax, or log-softmax if LOG, of rows that fit into one block."""
    row, m_row = row_block(rows, BLOCK_ROWS)
    o_w = tl.arange(0, BLOCK_WIDTH)
    mask = m_row[:, None] & (o_w < width)[None, :]  # (BLOCK_ROWS, BLOCK_WIDTH)
    o_w = o_w.to(tl.int64)[None, :]
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)[:, None] + o_w * x_stride_w
    b_x = widen(tl.load(p_x, mask=mask, other=float("-inf")))
    shifted = b_x - tl.max(b_x, 1)[:, None]
    b_exp = tl.exp(shifted)
    total = tl.sum(b_exp, 1)[:, None]
    b_y = shifted - tl.log(total) if LOG else b_exp / total
    p_y = y + row_offset(row, size_1, size_2, y_stride_0, y_stride_1, y_stride_2)[:, None] + o_w * y_stride_w
    tl.store(p_y, b_y.to(y.dtype.element_ty), mask=mask)


@triton.jit
def softmax_two_pass_kernel(
    x,
    y,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_w,
    y_stride_0,
    y_stride_1,
    y_stride_2,
    y_stride_w,
    LOG: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
):
    """Compute softmax, or log-softmax if LOG, of one wide row."""
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK_WIDTH)
    x += row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)
    y += row_offset(row, size_1, size_2, y_stride_0, y_stride_1, y_stride_2)
    # First pass: maximum and sum of exponentials of each lane.
    lane_max = widen(tl.load(x + lane.to(tl.int64) * x_stride_w))  # no mask: width exceeds BLOCK_WIDTH
    lane_sum = lane_max * 0 + 1
    lane_sum = tl.where(lane_max == float("-inf"), 0.0, lane_sum)
    for start in range(BLOCK_WIDTH, width, BLOCK_WIDTH):
        o_w = start + lane
        b_x = widen(tl.load(x + o_w.to(tl.int64) * x_stride_w, mask=o_w < width, other=float("-inf")))
        new_max = tl.maximum(lane_max, b_x, propagate_nan=tl.PropagateNan.ALL)
        impossible = new_max == float("-inf")
        kept = tl.where(impossible, 0.0, lane_sum * tl.exp(lane_max - new_max))
        lane_sum = kept + tl.where(impossible, 0.0, tl.exp(b_x - new_max))
        lane_max = new_max
    row_max = tl.max(lane_max, 0)
    row_sum = tl.sum(lane_sum * tl.exp(lane_max - row_max), 0)
    # Second pass, from the end: normalise.
    blocks = tl.cdiv(width, BLOCK_WIDTH)
    for i in range(blocks):
        o_w = (blocks - 1 - i) * BLOCK_WIDTH + lane
        b_x = widen(tl.load(x + o_w.to(tl.int64) * x_stride_w, mask=o_w < width, other=float("-inf")))
        shifted = b_x - row_max
        b_y = shifted - tl.log(row_sum) if LOG else tl.exp(shifted) / row_sum
        tl.store(y + o_w.to(tl.int64) * y_stride_w, b_y.to(y.dtype.element_ty), mask=o_w < width)


@triton.jit
def softmax_backward_single_pass_kernel(
    y,
    dy,
    dx,
    rows,
    width,
    size_1,
    size_2,
    y_stride_0,
    y_stride_1,
    y_stride_2,
    y_stride_w,
    dy_stride_0,
    dy_stride_1,
    dy_stride_2,
    dy_stride_w,
    dx_stride_0,
    dx_stride_1,
    dx_stride_2,
    dx_stride_w,
    LOG: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
):
    """Compute the gradient of softmax, or log-softmax if LOG, for rows that fit into one block."""
    row, m_row = row_block(rows, BLOCK_ROWS)
    o_w = tl.arange(0, BLOCK_WIDTH)
    mask = m_row[:, None] & (o_w < width)[None, :]  # (BLOCK_ROWS, BLOCK_WIDTH)
    o_w = o_w.to(tl.int64)[None, :]
    p_dy = dy + row_offset(row, size_1, size_2, dy_stride_0, dy_stride_1, dy_stride_2)[:, None] + o_w * dy_stride_w
    b_dy = widen(tl.load(p_dy, mask=mask, other=0.0))
    p_y = y + row_offset(row, size_1, size_2, y_stride_0, y_stride_1, y_stride_2)[:, None] + o_w * y_stride_w
    b_y = widen(tl.load(p_y, mask=mask, other=0.0))
    if LOG:
        b_dx = b_dy - tl.exp(b_y) * tl.sum(b_dy, 1)[:, None]
    else:
        b_dx = b_y * (b_dy - tl.sum(b_y * b_dy, 1)[:, None])
    p_dx = dx + row_offset(row, size_1, size_2, dx_stride_0, dx_stride_1, dx_stride_2)[:, None] + o_w * dx_stride_w
    tl.store(p_dx, b_dx.to(dx.dtype.element_ty), mask=mask)


@triton.jit
def softmax_backward_two_pass_kernel(
    y,
    dy,
    dx,
    width,
    size_1,
    size_2,
    y_stride_0,
    y_stride_1,
    y_stride_2,
    y_stride_w,
    dy_stride_0,
    dy_stride_1,
    dy_stride_2,
    dy_stride_w,
    dx_stride_0,
    dx_stride_1,
    dx_stride_2,
    dx_stride_w,
    LOG: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
):
    """Compute the gradient of softmax, or log-softmax if LOG, for one wide row."""
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK_WIDTH)
    y += row_offset(row, size_1, size_2, y_stride_0, y_stride_1, y_stride_2)
    dy += row_offset(row, size_1, size_2, dy_stride_0, dy_stride_1, dy_stride_2)
    dx += row_offset(row, size_1, size_2, dx_stride_0, dx_stride_1, dx_stride_2)
    # First pass: sum of dy, or of y dy.
    b_dy = widen(tl.load(dy + lane.to(tl.int64) * dy_stride_w))  # no mask: width exceeds BLOCK_WIDTH
    lane_sum = b_dy if LOG else widen(tl.load(y + lane.to(tl.int64) * y_stride_w)) * b_dy
    for start in range(BLOCK_WIDTH, width, BLOCK_WIDTH):
        o_w = start + lane
        b_dy = widen(tl.load(dy + o_w.to(tl.int64) * dy_stride_w, mask=o_w < width, other=0.0))
        if LOG:
            lane_sum += b_dy
        else:
            lane_sum += widen(tl.load(y + o_w.to(tl.int64) * y_stride_w, mask=o_w < width, other=0.0)) * b_dy
    row_sum = tl.sum(lane_sum, 0)
    # Second pass, from the end: the gradient.
    blocks = tl.cdiv(width, BLOCK_WIDTH)
    for i in range(blocks):
        o_w = (blocks - 1 - i) * BLOCK_WIDTH + lane
        b_dy = widen(tl.load(dy + o_w.to(tl.int64) * dy_stride_w, mask=o_w < width, other=0.0))
        b_y = widen(tl.load(y + o_w.to(tl.int64) * y_stride_w, mask=o_w < width, other=0.0))
        b_dx = b_dy - tl.exp(b_y) * row_sum if LOG else b_y * (b_dy - row_sum)
        tl.store(dx + o_w.to(tl.int64) * dx_stride_w, b_dx.to(dx.dtype.element_ty), mask=o_w < width)

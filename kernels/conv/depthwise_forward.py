"""Triton programs of the depthwise causal convolution: the forward pass, and the parts it shares with backward."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.conv.taps import apply_activation, empty_tuple, join_lanes, load_tap, multiply_add, repeat_lanes
from arbench.kernels.core.rows import widen


@triton.jit
def tile_index(program, n_d, n_l, VEC: tl.constexpr):
    """Return batch, channel block and row block of a program; neighbours lie along the contiguous axis."""
    if VEC == 1:
        return program // n_d // n_l, program % n_d, program // n_d % n_l
    else:
        return program // n_l // n_d, program // n_l % n_d, program % n_l


@triton.jit
def channel_block(b, block_d, D, BLOCK_D: tl.constexpr):
    """Return the batch and the channels (BLOCK_D, 1) of a program, as int64, and the mask of the channels."""
    d = (block_d * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)[:, None]
    return b.to(tl.int64), d, d < D


@triton.jit
def row_positions(block, rows, begin, end, dilation, VEC: tl.constexpr, BLOCK_L: tl.constexpr):
    """Return the positions (BLOCK_L VEC,) of a block of rows; ``end`` or more for rows that do not exist.

    A row is a vector of positions, or one position if VEC is 1; then consecutive rows are a dilation apart.
    """
    if VEC > 1:
        return begin + block * (BLOCK_L * VEC) + tl.arange(0, BLOCK_L * VEC)
    else:
        row = block * BLOCK_L + tl.arange(0, BLOCK_L)
        pos = begin + row
        if dilation != 1:
            run = tl.cdiv(end - begin, dilation)  # rows a dilation apart
            pos = tl.where(row < rows, begin + row % run * dilation + row // run, end)
        return pos


@triton.jit
def convolve(
    p_x,
    p_states,
    weight,
    bias,
    d,
    pos,
    m_d,
    L,
    x_stride_l,
    reach,
    states_stride_l,
    weight_stride_d,
    weight_stride_w,
    bias_stride,
    dilation,
    dilation_vecs,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    BLOCK_L: tl.constexpr,
    UNROLL: tl.constexpr,
):
    """Return bias + sum_k weight[d, k] x[pos - (WIDTH - 1 - k) dilation], as VEC lanes (BLOCK_D, BLOCK_L)."""
    p_w = weight + d * weight_stride_d  # (BLOCK_D, 1)
    zero = tl.zeros([p_w.shape[0], BLOCK_L], tl.float64 if weight.dtype.element_ty == tl.float64 else tl.float32)
    if bias is not None:
        zero += widen(tl.load(bias + d * bias_stride, mask=m_d, other=0.0))
    total = repeat_lanes(zero, VEC)
    if UNROLL:
        for k in tl.static_range(WIDTH):
            b_w = widen(tl.load(p_w + k * weight_stride_w, mask=m_d, other=0.0))
            b_x = load_tap(
                p_x,
                p_states,
                pos,
                m_d,
                L,
                x_stride_l,
                reach,
                states_stride_l,
                dilation_vecs,
                WIDTH - 1 - k,
                DILATION_REM,
                LONG_DILATION,
                False,
                VEC,
                True,
            )
            total = multiply_add(total, b_x, b_w, VEC)
    else:
        for k in range(WIDTH):
            b_w = widen(tl.load(p_w + k * weight_stride_w, mask=m_d, other=0.0))
            start = pos - (WIDTH - 1 - k) * dilation
            b_x = load_tap(
                p_x, p_states, start, m_d, L, x_stride_l, reach, states_stride_l, 0, 0, 0, False, False, VEC, True
            )
            total = multiply_add(total, b_x, b_w, VEC)
    return total


@triton.jit
def pre_activation(
    p_x,
    p_states,
    weight,
    bias,
    d,
    pos,
    m_d,
    D,
    L,
    x_stride_l,
    reach,
    states_stride_l,
    weight_stride_d,
    weight_stride_w,
    bias_stride,
    dilation,
    dilation_vecs,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    HALVES: tl.constexpr,
    BLOCK_L: tl.constexpr,
    UNROLL: tl.constexpr,
):
    """Return the pre-activation and, if HALVES is 2, that of the gate, as VEC lanes (BLOCK_D, BLOCK_L) each."""
    pre = convolve(
        p_x,
        p_states,
        weight,
        bias,
        d,
        pos,
        m_d,
        L,
        x_stride_l,
        reach,
        states_stride_l,
        weight_stride_d,
        weight_stride_w,
        bias_stride,
        dilation,
        dilation_vecs,
        WIDTH,
        DILATION_REM,
        LONG_DILATION,
        VEC,
        BLOCK_L,
        UNROLL,
    )
    gate = pre
    if HALVES == 2:
        gate = convolve(
            p_x,
            p_states,
            weight,
            bias,
            d + D,
            pos,
            m_d,
            L,
            x_stride_l,
            reach,
            states_stride_l,
            weight_stride_d,
            weight_stride_w,
            bias_stride,
            dilation,
            dilation_vecs,
            WIDTH,
            DILATION_REM,
            LONG_DILATION,
            VEC,
            BLOCK_L,
            UNROLL,
        )
    return pre, gate


@triton.jit
def depthwise_conv1d_forward_kernel(
    x,
    states,
    weight,
    bias,
    y,
    D,
    L,
    rows,
    begin,
    end,
    x_stride_b,
    x_stride_d,
    x_stride_l,
    states_stride_b,
    states_stride_d,
    states_stride_l,
    weight_stride_d,
    weight_stride_w,
    bias_stride,
    y_stride_b,
    y_stride_d,
    y_stride_l,
    dilation,
    dilation_vecs,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HALVES: tl.constexpr,
    UNROLL: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute the convolution and its activation for a block of channels and positions."""
    b, block_d, block_l = tile_index(tl.program_id(0), tl.cdiv(D, BLOCK_D), tl.cdiv(rows, BLOCK_L), VEC)
    b, d, m_d = channel_block(b, block_d, D, BLOCK_D)
    pos = row_positions(block_l, rows, begin, end, dilation, VEC, BLOCK_L)
    p_x = x + b * x_stride_b + d * x_stride_d
    p_states = None
    if states is not None:
        p_states = states + b * states_stride_b + d * states_stride_d
    pre, gate = pre_activation(
        p_x,
        p_states,
        weight,
        bias,
        d,
        pos,
        m_d,
        D,
        L,
        x_stride_l,
        (WIDTH - 1) * dilation,
        states_stride_l,
        weight_stride_d,
        weight_stride_w,
        bias_stride,
        dilation,
        dilation_vecs,
        WIDTH,
        DILATION_REM,
        LONG_DILATION,
        VEC,
        HALVES,
        BLOCK_L,
        UNROLL,
    )
    out = empty_tuple()
    for v in tl.static_range(VEC):
        out += (apply_activation(pre[v], gate[v], ACTIVATION),)
    p_y = y + b * y_stride_b + d * y_stride_d + pos.to(tl.int64)[None, :] * y_stride_l
    tl.store(p_y, join_lanes(out, VEC).to(y.dtype.element_ty), mask=m_d & (pos < end)[None, :])

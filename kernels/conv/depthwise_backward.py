"""Triton programs of the depthwise causal convolution: gradients of its weights and of its inputs."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.conv.depthwise_forward import channel_block, pre_activation, row_positions, tile_index
from arbench.kernels.conv.taps import (
    activation_gradient,
    empty_tuple,
    join_lanes,
    load_tap,
    multiply_add,
    repeat_lanes,
    split_lanes,
)
from arbench.kernels.core.rows import widen


@triton.jit
def depthwise_conv1d_backward_weight_kernel(
    x,
    states,
    weight,
    bias,
    dy,
    dpre,
    dw_partial,
    D,
    L,
    rows,
    begin,
    end,
    steps,
    x_stride_b,
    x_stride_d,
    x_stride_l,
    states_stride_b,
    states_stride_d,
    states_stride_l,
    weight_stride_d,
    weight_stride_w,
    bias_stride,
    dy_stride_b,
    dy_stride_d,
    dy_stride_l,
    dpre_stride_b,
    dpre_stride_d,
    dpre_stride_l,
    dilation,
    dilation_vecs,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HALVES: tl.constexpr,
    UNROLL: tl.constexpr,
    TAPS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute the gradient of the pre-activation and partial sums of the weights' gradient."""
    splits = tl.cdiv(tl.cdiv(rows, BLOCK_L), steps)
    b, block_d, split = tile_index(tl.program_id(0), tl.cdiv(D, BLOCK_D), splits, VEC)
    b, d, m_d = channel_block(b, block_d, D, BLOCK_D)
    first_tap = tl.program_id(1) * TAPS
    p_x = x + b * x_stride_b + d * x_stride_d
    p_states = None
    if states is not None:
        p_states = states + b * states_stride_b + d * states_stride_d
    reach = (WIDTH - 1) * dilation
    accumulator: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    zero = tl.zeros([BLOCK_D, 1 if VEC == 1 else BLOCK_L], accumulator)
    sums = repeat_lanes(zero, HALVES * (TAPS + 1))  # of each half: the weights' gradients, then the bias's
    for step in range(steps):
        # Gradient of the pre-activation.
        pos = row_positions(split * steps + step, rows, begin, end, dilation, VEC, BLOCK_L)
        o_l = pos.to(tl.int64)[None, :]
        mask = m_d & (pos < end)[None, :]  # (BLOCK_D, BLOCK_L VEC)
        p_dy = dy + b * dy_stride_b + d * dy_stride_d + o_l * dy_stride_l
        b_dpre = split_lanes(widen(tl.load(p_dy, mask=mask, other=0.0)), VEC)
        b_dgate = b_dpre
        if ACTIVATION is not None:
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
                HALVES,
                BLOCK_L,
                UNROLL,
            )
            pre_lanes = empty_tuple()
            gate_lanes = empty_tuple()
            for v in tl.static_range(VEC):
                d_pre, d_gate = activation_gradient(b_dpre[v], pre[v], gate[v], ACTIVATION)
                pre_lanes += (d_pre,)
                gate_lanes += (d_gate,)
            b_dpre = pre_lanes
            b_dgate = gate_lanes
        # Correlate it with the taps.
        new_sums = empty_tuple()
        for half in tl.static_range(HALVES):
            b_half = b_dpre if half == 0 else b_dgate
            for j in tl.static_range(TAPS):
                if TAPS == WIDTH:
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
                        WIDTH - 1 - j,
                        DILATION_REM,
                        LONG_DILATION,
                        False,
                        VEC,
                        True,
                    )
                else:
                    start = pos - (WIDTH - 1 - first_tap - j) * dilation
                    b_x = load_tap(
                        p_x,
                        p_states,
                        start,
                        m_d,
                        L,
                        x_stride_l,
                        reach,
                        states_stride_l,
                        0,
                        0,
                        0,
                        False,
                        False,
                        VEC,
                        True,
                    )
                new_sums += (sums[half * (TAPS + 1) + j] + correlate(b_half, b_x, VEC),)
            if TAPS > 0:
                new_sums += (sums[half * (TAPS + 1) + TAPS] + correlate(b_half, repeat_lanes(1.0, VEC), VEC),)
            else:
                new_sums += (sums[half],)
        sums = new_sums
        if dpre is not None:
            p_dpre = dpre + b * dpre_stride_b + o_l * dpre_stride_l
            store_once(p_dpre + d * dpre_stride_d, b_dpre, mask, VEC)
            if ACTIVATION == "gated":
                store_once(p_dpre + (d + D) * dpre_stride_d, b_dgate, mask, VEC)
    # Store the partial sums.
    if TAPS > 0:
        p_dw = dw_partial + (b * splits + split) * (HALVES * (WIDTH + 1)) * D + d
        for half in tl.static_range(HALVES):
            for j in tl.static_range(TAPS + 1):
                total = sums[half * (TAPS + 1) + j]
                if VEC > 1:
                    total = tl.sum(total, 1, keep_dims=True)
                if j == TAPS:
                    if first_tap == 0:
                        tl.store(p_dw + (half * (WIDTH + 1) + WIDTH) * D, total, mask=m_d)
                elif first_tap + j < WIDTH:
                    tl.store(p_dw + (half * (WIDTH + 1) + first_tap + j) * D, total, mask=m_d)


@triton.jit
def correlate(g, x, VEC: tl.constexpr):
    """Sum products over lanes, to (BLOCK_D, BLOCK_L); with one lane also over the row, to (BLOCK_D, 1)."""
    total = g[0] * x[0]
    for v in tl.static_range(1, VEC):
        total += g[v] * x[v]
    if VEC == 1:
        return tl.sum(total, 1, keep_dims=True)
    else:
        return total


@triton.jit
def store_once(p, lanes, mask, VEC: tl.constexpr):
    """Store lanes from the first of the programs that differ in their taps only."""
    if tl.program_id(1) == 0:
        tl.store(p, join_lanes(lanes, VEC).to(p.dtype.element_ty), mask=mask)


@triton.jit
def depthwise_conv1d_backward_input_kernel(
    dpre,
    weight,
    dx,
    D,
    L,
    M,
    rows,
    origin,
    dpre_stride_b,
    dpre_stride_d,
    dpre_stride_l,
    weight_stride_d,
    weight_stride_w,
    dx_stride_b,
    dx_stride_d,
    dx_stride_l,
    dilation,
    dilation_vecs,
    HALVES: tl.constexpr,
    UNROLL: tl.constexpr,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute the gradient of the inputs from that of the pre-activation."""
    b, block_d, block_l = tile_index(tl.program_id(0), tl.cdiv(D, BLOCK_D), tl.cdiv(rows, BLOCK_L), VEC)
    b, d, m_d = channel_block(b, block_d, D, BLOCK_D)
    out = row_positions(block_l, rows, 0, M, dilation, VEC, BLOCK_L)
    pos = out + origin
    # Convolve with the weights in reverse time, over both halves.
    accumulator: tl.constexpr = tl.float64 if dpre.dtype.element_ty == tl.float64 else tl.float32
    total = repeat_lanes(tl.zeros([BLOCK_D, BLOCK_L], accumulator), VEC)
    for half in tl.static_range(HALVES):
        p_dpre = dpre + b * dpre_stride_b + (d + half * D) * dpre_stride_d
        p_w = weight + (d + half * D) * weight_stride_d
        if UNROLL:
            for k in tl.static_range(WIDTH):
                b_w = widen(tl.load(p_w + k * weight_stride_w, mask=m_d, other=0.0))
                b_dpre = load_tap(
                    p_dpre,
                    None,
                    pos,
                    m_d,
                    L,
                    dpre_stride_l,
                    0,
                    0,
                    dilation_vecs,
                    WIDTH - 1 - k,
                    DILATION_REM,
                    LONG_DILATION,
                    True,
                    VEC,
                    True,
                )
                total = multiply_add(total, b_dpre, b_w, VEC)
        else:
            for k in range(WIDTH):
                b_w = widen(tl.load(p_w + k * weight_stride_w, mask=m_d, other=0.0))
                start = pos + (WIDTH - 1 - k) * dilation
                b_dpre = load_tap(p_dpre, None, start, m_d, L, dpre_stride_l, 0, 0, 0, 0, 0, False, True, VEC, True)
                total = multiply_add(total, b_dpre, b_w, VEC)
    p_dx = dx + b * dx_stride_b + d * dx_stride_d + out.to(tl.int64)[None, :] * dx_stride_l
    tl.store(p_dx, join_lanes(total, VEC).to(dx.dtype.element_ty), mask=m_d & (out < M)[None, :])

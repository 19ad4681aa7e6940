"""Triton programs of the full, channel-mixing causal convolution and of its weight gradient."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.conv.taps import activation_gradient, apply_activation, join_lanes, load_tap
from arbench.kernels.core.rows import widen


@triton.jit
def product(a, b, total, PRECISION: tl.constexpr):
    """Return total + a b for tiles (M, K) and (K, N)."""
    if total.dtype == tl.float64:
        return total + tl.sum(a[:, :, None] * b[None, :, :], 1)
    else:
        return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
def load_weight(weight, o, D_out, i, D_in, WIDEN: tl.constexpr):
    """Load the block (o, i) of a contiguous matrix (D_out, D_in)."""
    p_w = weight + o.to(tl.int64)[:, None] * D_in + i[None, :]
    b_w = tl.load(p_w, mask=(o < D_out)[:, None] & (i < D_in)[None, :], other=0.0)
    if WIDEN:
        return widen(b_w)
    else:
        return b_w


@triton.jit
def full_conv1d_kernel(
    x,
    states,
    weight,
    bias,
    dy,
    y,
    D_in,
    D_out,
    L,
    begin,
    end,
    origin,
    x_stride_b,
    x_stride_d,
    x_stride_l,
    states_stride_b,
    states_stride_d,
    states_stride_l,
    bias_stride,
    dy_stride_b,
    dy_stride_d,
    dy_stride_l,
    y_stride_b,
    y_stride_d,
    y_stride_l,
    dilation,
    dilation_vecs,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    REVERSED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute the convolution or, given ``dy``, the gradient of its pre-activation; REVERSED, of its inputs."""
    n_o = tl.cdiv(D_out, BLOCK_O)
    n_l = tl.cdiv(end - begin, BLOCK_L)
    program = tl.program_id(0)
    b = (program // n_o // n_l).to(tl.int64)
    out = begin + program // n_o % n_l * BLOCK_L + tl.arange(0, BLOCK_L)
    o = program % n_o * BLOCK_O + tl.arange(0, BLOCK_O)
    pos = out + origin
    x += b * x_stride_b
    reach = (WIDTH - 1) * dilation
    accumulator: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    pre = tl.zeros([BLOCK_O, BLOCK_L], accumulator)
    gate = tl.zeros([BLOCK_O, BLOCK_L], accumulator)
    tap_size = tl.cast(D_out, tl.int64) * D_in
    if ACTIVATION == "gated":
        tap_size *= 2
    # Accumulate over taps and input channels.
    if VEC == 1:
        n_i = tl.cdiv(D_in, BLOCK_I)
        for step in range(WIDTH * n_i):
            k = step // n_i
            i = step % n_i * BLOCK_I + tl.arange(0, BLOCK_I)
            delay = (WIDTH - 1 - k) * dilation
            start = pos + delay if REVERSED else pos - delay
            p_states = None
            if states is not None:
                p_states = states + b * states_stride_b + i.to(tl.int64)[:, None] * states_stride_d
            b_x = load_tap(
                x + i.to(tl.int64)[:, None] * x_stride_d,
                p_states,
                start,
                (i < D_in)[:, None],
                L,
                x_stride_l,
                reach,
                states_stride_l,
                0,
                0,
                0,
                False,
                REVERSED,
                1,
                WIDEN,
            )[0]
            p_w = weight + k * tap_size
            pre = product(load_weight(p_w, o, D_out, i, D_in, WIDEN), b_x, pre, PRECISION)
            if ACTIVATION == "gated":
                p_w += tl.cast(D_out, tl.int64) * D_in
                gate = product(load_weight(p_w, o, D_out, i, D_in, WIDEN), b_x, gate, PRECISION)
    else:
        for k in tl.static_range(WIDTH):
            for first in range(0, D_in, BLOCK_I):
                i = first + tl.arange(0, BLOCK_I)
                lanes = load_tap(
                    x + i.to(tl.int64)[:, None] * x_stride_d,
                    None,
                    pos,
                    (i < D_in)[:, None],
                    L,
                    x_stride_l,
                    0,
                    0,
                    dilation_vecs,
                    WIDTH - 1 - k,
                    DILATION_REM,
                    LONG_DILATION,
                    REVERSED,
                    VEC,
                    WIDEN,
                )
                b_x = join_lanes(lanes, VEC)
                p_w = weight + k * tap_size
                pre = product(load_weight(p_w, o, D_out, i, D_in, WIDEN), b_x, pre, PRECISION)
                if ACTIVATION == "gated":
                    p_w += tl.cast(D_out, tl.int64) * D_in
                    gate = product(load_weight(p_w, o, D_out, i, D_in, WIDEN), b_x, gate, PRECISION)
    # Epilogue: bias and activation, or the activation's gradient.
    m_o = (o < D_out)[:, None]
    mask = m_o & (out < end)[None, :]
    o_o = o.to(tl.int64)[:, None]
    o_l = out.to(tl.int64)[None, :]
    if bias is not None:
        pre += widen(tl.load(bias + o_o * bias_stride, mask=m_o, other=0.0))
        if ACTIVATION == "gated":
            gate += widen(tl.load(bias + (o_o + D_out) * bias_stride, mask=m_o, other=0.0))
    p_y = y + b * y_stride_b + o_o * y_stride_d + o_l * y_stride_l
    if dy is None:
        tl.store(p_y, apply_activation(pre, gate, ACTIVATION).to(y.dtype.element_ty), mask=mask)
    else:
        b_dy = widen(tl.load(dy + b * dy_stride_b + o_o * dy_stride_d + o_l * dy_stride_l, mask=mask, other=0.0))
        d_pre, d_gate = activation_gradient(b_dy, pre, gate, ACTIVATION)
        tl.store(p_y, d_pre.to(y.dtype.element_ty), mask=mask)
        if ACTIVATION == "gated":
            p_y = y + b * y_stride_b + (o_o + D_out) * y_stride_d + o_l * y_stride_l
            tl.store(p_y, d_gate.to(y.dtype.element_ty), mask=mask)


@triton.jit
def full_conv1d_backward_weight_kernel(
    x,
    states,
    dpre,
    dw_partial,
    db_partial,
    D_in,
    D_out,
    L,
    begin,
    end,
    blocks,
    steps,
    x_stride_b,
    x_stride_d,
    x_stride_l,
    states_stride_b,
    states_stride_d,
    states_stride_l,
    dpre_stride_b,
    dpre_stride_d,
    dpre_stride_l,
    dilation,
    dilation_vecs,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Compute partial sums of the gradients of weights and bias over one split of the positions."""
    n_i = tl.cdiv(D_in, BLOCK_I)
    n_o = tl.cdiv(D_out, BLOCK_O)
    program = tl.program_id(0)  # neighbours share a split of the positions and differ in tap and channels
    k = program % WIDTH
    i = program // WIDTH % n_i * BLOCK_I + tl.arange(0, BLOCK_I)
    o = program // WIDTH // n_i % n_o * BLOCK_O + tl.arange(0, BLOCK_O)
    split = (program // WIDTH // n_i // n_o).to(tl.int64)
    accumulator: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    dw = tl.zeros([BLOCK_O, BLOCK_I], accumulator)
    db = tl.zeros([BLOCK_O], accumulator)
    if VEC == 1:
        dw, db = correlate_positions(
            x,
            states,
            dpre,
            i,
            o,
            D_in,
            D_out,
            L,
            begin,
            end,
            split,
            blocks,
            steps,
            x_stride_b,
            x_stride_d,
            x_stride_l,
            states_stride_b,
            states_stride_d,
            states_stride_l,
            dpre_stride_b,
            dpre_stride_d,
            dpre_stride_l,
            dilation,
            dilation_vecs,
            k,
            dw,
            db,
            0,
            WIDTH,
            DILATION_REM,
            LONG_DILATION,
            VEC,
            PRECISION,
            WIDEN,
            BLOCK_L,
        )
    else:
        for j in tl.static_range(WIDTH):  # the lanes of a tap must be known at compile time
            if k == j:
                dw, db = correlate_positions(
                    x,
                    states,
                    dpre,
                    i,
                    o,
                    D_in,
                    D_out,
                    L,
                    begin,
                    end,
                    split,
                    blocks,
                    steps,
                    x_stride_b,
                    x_stride_d,
                    x_stride_l,
                    states_stride_b,
                    states_stride_d,
                    states_stride_l,
                    dpre_stride_b,
                    dpre_stride_d,
                    dpre_stride_l,
                    dilation,
                    dilation_vecs,
                    k,
                    dw,
                    db,
                    WIDTH - 1 - j,
                    WIDTH,
                    DILATION_REM,
                    LONG_DILATION,
                    VEC,
                    PRECISION,
                    WIDEN,
                    BLOCK_L,
                )
    # Store the partial sums; the bias's once for all taps and input channels.
    o_o = o.to(tl.int64)
    p_dw = dw_partial + ((split * WIDTH + k) * D_out + o_o[:, None]) * D_in + i[None, :]
    tl.store(p_dw, dw, mask=(o < D_out)[:, None] & (i < D_in)[None, :])
    if program % (WIDTH * n_i) == 0:
        tl.store(db_partial + split * D_out + o_o, db, mask=o < D_out)


@triton.jit
def correlate_positions(
    x,
    states,
    dpre,
    i,
    o,
    D_in,
    D_out,
    L,
    begin,
    end,
    split,
    blocks,
    steps,
    x_stride_b,
    x_stride_d,
    x_stride_l,
    states_stride_b,
    states_stride_d,
    states_stride_l,
    dpre_stride_b,
    dpre_stride_d,
    dpre_stride_l,
    dilation,
    dilation_vecs,
    k,
    dw,
    db,
    DELAY: tl.constexpr,
    WIDTH: tl.constexpr,
    DILATION_REM: tl.constexpr,
    LONG_DILATION: tl.constexpr,
    VEC: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """Accumulate the gradients of weights and bias over the positions of a split.

    Adds sum_t dpre[o, t] x[i, t - (WIDTH - 1 - k) dilation] to ``dw`` (BLOCK_O, BLOCK_I) and
    sum_t dpre[o, t] to ``db`` (BLOCK_O,).
    """
    n_l = tl.cdiv(end - begin, BLOCK_L)
    reach = (WIDTH - 1) * dilation
    for step in range(tl.minimum(steps, blocks - split * steps)):
        block = split * steps + step
        b = block // n_l  # int64
        pos = begin + (block % n_l).to(tl.int32) * BLOCK_L + tl.arange(0, BLOCK_L)
        mask = (o < D_out)[:, None] & (pos < end)[None, :]
        p_dpre = dpre + b * dpre_stride_b + o.to(tl.int64)[:, None] * dpre_stride_d
        p_dpre += pos.to(tl.int64)[None, :] * dpre_stride_l
        b_dpre = tl.load(p_dpre, mask=mask, other=0.0)  # (BLOCK_O, BLOCK_L)
        if WIDEN:
            b_dpre = widen(b_dpre)
        m_i = (i < D_in)[:, None]
        p_x = x + b * x_stride_b + i.to(tl.int64)[:, None] * x_stride_d
        p_states = None
        if states is not None:
            p_states = states + b * states_stride_b + i.to(tl.int64)[:, None] * states_stride_d
        start = pos
        if VEC == 1:
            start = pos - (WIDTH - 1 - k) * dilation
        lanes = load_tap(
            p_x,
            p_states,
            start,
            m_i,
            L,
            x_stride_l,
            reach,
            states_stride_l,
            dilation_vecs,
            DELAY,
            DILATION_REM,
            LONG_DILATION,
            False,
            VEC,
            WIDEN,
        )
        b_x = join_lanes(lanes, VEC)
        dw = product(b_dpre, tl.trans(b_x), dw, PRECISION)
        db += tl.sum(widen(b_dpre), 1)
    return dw, db

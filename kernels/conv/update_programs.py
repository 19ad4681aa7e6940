"""Triton programs of one step of a causal convolution, depthwise or full, and of its state."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.conv.taps import apply_activation, empty_tuple
from arbench.kernels.core.rows import widen


@triton.jit
def locate(b, positions, indices, slots, S, positions_stride, indices_stride, RING: tl.constexpr):
    """Return the slot of each sequence, -1 for padding, and the place of the new input in it.

    The place is t mod S in a ring and S in a window. ``b`` is of any shape.
    """
    slot = b.to(tl.int64)
    if indices is not None:
        slot = tl.load(indices + slot * indices_stride).to(tl.int64)
        slot = tl.where(slot < slots, slot, -1)
    place = b.to(tl.int64) * 0 + S
    if RING:
        place = tl.load(positions + b.to(tl.int64) * positions_stride).to(tl.int64) % S
        place = tl.where(place < 0, place + S, place)  # the remainder has the sign of the dividend
    return slot, place


@triton.jit
def advance_state(
    p_state,
    b_x,
    place,
    m_d,
    S,
    state_stride_s,
    RING: tl.constexpr,
    WINDOW: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """Put the new inputs (BLOCK_D,) into the states (BLOCK_D, S); exactly one program calls it per channel.

    All threads finish reading these states before any thread changes them. A window of WINDOW elements passes
    through registers; a longer one (WINDOW = 0) moves block by block.
    """
    if RING:
        tl.debug_barrier()
        tl.store(p_state + place * state_stride_s, b_x, mask=m_d)
    elif WINDOW > 0:
        kept = empty_tuple()
        for s in tl.static_range(1, WINDOW):
            kept += (tl.load(p_state + s * state_stride_s, mask=m_d, other=0.0),)
        kept += (b_x,)
        tl.debug_barrier()
        for s in tl.static_range(WINDOW):
            tl.store(p_state + s * state_stride_s, kept[s], mask=m_d)
    else:
        for start in range(0, S, BLOCK_S):
            s = start + tl.arange(0, BLOCK_S)
            p_block = p_state[:, None] + s.to(tl.int64)[None, :] * state_stride_s
            m_later = m_d[:, None] & (s < S - 1)[None, :]
            later = tl.load(p_block + state_stride_s, mask=m_later, other=0.0)  # (BLOCK_D, BLOCK_S)
            moved = tl.where((s < S - 1)[None, :], later, b_x[:, None])
            tl.debug_barrier()
            tl.store(p_block, moved, mask=m_d[:, None] & (s < S)[None, :])


@triton.jit
def depthwise_conv1d_update_kernel(
    x,
    state,
    weight,
    bias,
    positions,
    indices,
    y,
    D,
    slots,
    S,
    x_stride_b,
    x_stride_d,
    state_stride_b,
    state_stride_d,
    state_stride_s,
    weight_stride_d,
    weight_stride_w,
    bias_stride,
    positions_stride,
    indices_stride,
    y_stride_b,
    y_stride_d,
    dilation,
    WIDTH: tl.constexpr,
    ACTIVATION: tl.constexpr,
    RING: tl.constexpr,
    WINDOW: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """Compute one step for a block of channels of one sequence, and advance their state."""
    n_d = tl.cdiv(D, BLOCK_D)
    b = tl.program_id(0) // n_d
    d = (tl.program_id(0) % n_d * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)  # (BLOCK_D,)
    slot, place = locate(b, positions, indices, slots, S, positions_stride, indices_stride, RING)
    m_d = d < tl.where(slot >= 0, D, 0)
    b = b.to(tl.int64)
    # Load the new input and convolve it with the past.
    p_state = state + slot * state_stride_b + d * state_stride_d
    b_x = tl.load(x + b * x_stride_b + d * x_stride_d, mask=m_d, other=0.0)
    pre = convolve_step(
        p_state,
        b_x,
        weight,
        bias,
        d,
        place,
        m_d,
        S,
        state_stride_s,
        weight_stride_d,
        weight_stride_w,
        bias_stride,
        dilation,
        WIDTH,
    )
    gate = pre
    if ACTIVATION == "gated":
        gate = convolve_step(
            p_state,
            b_x,
            weight,
            bias,
            d + D,
            place,
            m_d,
            S,
            state_stride_s,
            weight_stride_d,
            weight_stride_w,
            bias_stride,
            dilation,
            WIDTH,
        )
    # Store the output, 0 for padding, then the state.
    b_y = apply_activation(pre, gate, ACTIVATION).to(y.dtype.element_ty)
    tl.store(y + b * y_stride_b + d * y_stride_d, b_y, mask=d < D)
    advance_state(p_state, b_x, place, m_d, S, state_stride_s, RING, WINDOW, BLOCK_S)


@triton.jit
def convolve_step(
    p_state,
    b_x,
    weight,
    bias,
    d,
    place,
    m_d,
    S,
    state_stride_s,
    weight_stride_d,
    weight_stride_w,
    bias_stride,
    dilation,
    WIDTH: tl.constexpr,
):
    """Return bias + sum_k weight[d, k] x[t - (WIDTH - 1 - k) dilation], (BLOCK_D,)."""
    p_w = weight + d * weight_stride_d
    total = widen(b_x) * widen(tl.load(p_w + (WIDTH - 1) * weight_stride_w, mask=m_d, other=0.0))
    for k in range(WIDTH - 1):
        past = place - (WIDTH - 1 - k) * dilation
        past = tl.where(past < 0, past + S, past)
        b_w = widen(tl.load(p_w + k * weight_stride_w, mask=m_d, other=0.0))
        total += b_w * widen(tl.load(p_state + past * state_stride_s, mask=m_d, other=0.0))
    if bias is not None:
        total += widen(tl.load(bias + d * bias_stride, mask=m_d, other=0.0))
    return total


@triton.jit
def full_conv1d_update_kernel(
    x,
    state,
    weight,
    bias,
    positions,
    indices,
    y,
    B,
    D_in,
    D_out,
    slots,
    S,
    x_stride_b,
    x_stride_d,
    state_stride_b,
    state_stride_d,
    state_stride_s,
    weight_stride_o,
    weight_stride_i,
    weight_stride_w,
    bias_stride,
    positions_stride,
    indices_stride,
    y_stride_b,
    y_stride_d,
    dilation,
    WIDTH: tl.constexpr,
    ACTIVATION: tl.constexpr,
    RING: tl.constexpr,
    WRITES_STATE: tl.constexpr,
    DENSE_WEIGHT: tl.constexpr,
    WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Compute one step for a block of sequences and output channels."""
    n_o = tl.cdiv(D_out, BLOCK_O)
    b = tl.program_id(0) // n_o * BLOCK_B + tl.arange(0, BLOCK_B)
    o = tl.program_id(0) % n_o * BLOCK_O + tl.arange(0, BLOCK_O)
    o_o = o.to(tl.int64)
    b_read = tl.minimum(b, B - 1)  # sequences from B on read valid memory; nothing is stored for them
    slot, place = locate(b_read, positions, indices, slots, S, positions_stride, indices_stride, RING)
    m_b = (slot >= 0) & (b < B)
    o_b = b_read.to(tl.int64)[:, None]
    accumulator: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    pre = tl.zeros([BLOCK_B, BLOCK_O], accumulator)
    gate = tl.zeros([BLOCK_B, BLOCK_O], accumulator)
    # Accumulate over k, which counts channels by taps; the last tap is the new input.
    for start in range(0, D_in * WIDTH, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        m_k = (k < D_in * WIDTH)[None, :]
        i = (k // WIDTH).to(tl.int64)[None, :]
        delay = (WIDTH - 1 - k % WIDTH)[None, :]
        past = place[:, None] - delay * dilation
        past = tl.where(past < 0, past + S, past)
        mask = m_b[:, None] & m_k
        p_past = state + slot[:, None] * state_stride_b + i * state_stride_d + past * state_stride_s
        b_past = tl.load(p_past, mask=mask & (delay > 0), other=0.0)
        b_new = tl.load(x + o_b * x_stride_b + i * x_stride_d, mask=mask & (delay == 0), other=0.0)
        b_x = tl.where(delay == 0, b_new, b_past)  # (BLOCK_B, BLOCK_K)
        if DENSE_WEIGHT:
            p_w = weight + o_o[:, None] * weight_stride_o + k.to(tl.int64)[None, :] * weight_stride_w
        else:
            p_w = weight + o_o[:, None] * weight_stride_o + i * weight_stride_i + (k % WIDTH)[None, :] * weight_stride_w
        b_w = tl.load(p_w, mask=(o < D_out)[:, None] & m_k, other=0.0)  # (BLOCK_O, BLOCK_K)
        pre = product_step(b_x, b_w, pre, WIDEN, PRECISION)
        if ACTIVATION == "gated":
            p_w += tl.cast(D_out, tl.int64) * weight_stride_o
            b_w = tl.load(p_w, mask=(o < D_out)[:, None] & m_k, other=0.0)
            gate = product_step(b_x, b_w, gate, WIDEN, PRECISION)
    # Epilogue: bias and activation, 0 for padding.
    if bias is not None:
        pre += widen(tl.load(bias + o_o * bias_stride, mask=o < D_out, other=0.0))[None, :]
        if ACTIVATION == "gated":
            gate += widen(tl.load(bias + (o_o + D_out) * bias_stride, mask=o < D_out, other=0.0))[None, :]
    b_y = tl.where(m_b[:, None], apply_activation(pre, gate, ACTIVATION), 0.0)
    p_y = y + o_b * y_stride_b + o_o[None, :] * y_stride_d
    tl.store(p_y, b_y.to(y.dtype.element_ty), mask=(b < B)[:, None] & (o < D_out)[None, :])
    # Put the new inputs into a ring whose slot for them no program reads.
    if WRITES_STATE and tl.program_id(0) % n_o == 0:
        for start in range(0, D_in, BLOCK_K):
            d = start + tl.arange(0, BLOCK_K)
            mask = m_b[:, None] & (d < D_in)[None, :]
            d = d.to(tl.int64)[None, :]
            b_new = tl.load(x + o_b * x_stride_b + d * x_stride_d, mask=mask, other=0.0)
            p_new = state + slot[:, None] * state_stride_b + d * state_stride_d + place[:, None] * state_stride_s
            tl.store(p_new, b_new, mask=mask)


@triton.jit
def product_step(b_x, b_w, total, WIDEN: tl.constexpr, PRECISION: tl.constexpr):
    """Return total (BLOCK_B, BLOCK_O) + b_x (BLOCK_B, BLOCK_K) times b_w (BLOCK_O, BLOCK_K) transposed.

    One sequence, and float64, do without tensor cores.
    """
    if b_x.shape[0] == 1 or b_x.dtype == tl.float64:
        return total + tl.sum(widen(b_x)[:, None, :] * widen(b_w)[None, :, :], 2)
    elif WIDEN:
        return tl.dot(widen(b_x), tl.trans(widen(b_w)), total, input_precision=PRECISION)
    else:
        return tl.dot(b_x, tl.trans(b_w), total, input_precision=PRECISION)


@triton.jit
def conv1d_update_state_kernel(
    x,
    state,
    positions,
    indices,
    D,
    slots,
    S,
    x_stride_b,
    x_stride_d,
    state_stride_b,
    state_stride_d,
    state_stride_s,
    positions_stride,
    indices_stride,
    RING: tl.constexpr,
    WINDOW: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """Advance the state of a block of channels of one sequence."""
    n_d = tl.cdiv(D, BLOCK_D)
    b = tl.program_id(0) // n_d
    d = (tl.program_id(0) % n_d * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)  # (BLOCK_D,)
    slot, place = locate(b, positions, indices, slots, S, positions_stride, indices_stride, RING)
    m_d = d < tl.where(slot >= 0, D, 0)
    b_x = tl.load(x + b.to(tl.int64) * x_stride_b + d * x_stride_d, mask=m_d, other=0.0)
    p_state = state + slot * state_stride_b + d * state_stride_d
    advance_state(p_state, b_x, place, m_d, S, state_stride_s, RING, WINDOW, BLOCK_S)

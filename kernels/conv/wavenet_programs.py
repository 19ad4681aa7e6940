"""The Triton program of a WaveNet layer: gated dilated convolution, then the projection to residual and skip."""

from __future__ import annotations

import triton
import triton.language as tl

from arbench.kernels.core.launch import interpreted
from arbench.kernels.core.rows import widen

INTERPRETED = tl.constexpr(interpreted())


@triton.jit
def product(a, b, total):
    """Return total + a b in the precision of ``total``."""
    if INTERPRETED:
        a, b = widen(a), widen(b)
    return tl.dot(a, b, total, input_precision="ieee", out_dtype=total.dtype)


@triton.jit
def apply_gate(f, g):
    """Return tanh(f) sigmoid(g) with one division; below -20 the tanh is -1."""
    e = tl.exp(-2 * tl.where(f < -20, -20.0, f))
    return (1 - e) / ((1 + e) * (1 + tl.exp(-g)))


@triton.jit
def gated_channels(
    p_row,
    weight,
    bias,
    p_offset,
    m_row,
    t,
    first,
    taps,
    dilation,
    R,
    G,
    x_stride_t,
    x_stride_r,
    weight_stride_k,
    weight_stride_g,
    bias_stride,
    offset_stride_g,
    BLOCK_T: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_G: tl.constexpr,
):
    """Return the gated channels first .. first + BLOCK_G - 1 at positions ``t``: (BLOCK_T, BLOCK_G).

    ``p_row`` (BLOCK_T, 1) points to rows of the residual stream, ``p_offset`` (BLOCK_T, 1) to their conditioning
    or is None for zeros; ``m_row`` (BLOCK_T, 1) masks rows that do not exist.
    """
    o_k = tl.arange(0, BLOCK_K)
    p_x = p_row + o_k.to(tl.int64)[None, :] * x_stride_r  # (BLOCK_T, BLOCK_K)
    p_w = weight + o_k.to(tl.int64)[:, None] * weight_stride_k
    o_g = first + tl.arange(0, BLOCK_G)
    m_g = (o_g < G)[None, :]
    o_filter = o_g.to(tl.int64)[None, :]
    o_gate = o_filter + G
    b_filter = widen(tl.zeros((BLOCK_T, BLOCK_G), p_row.dtype.element_ty))
    b_gate = widen(tl.zeros((BLOCK_T, BLOCK_G), p_row.dtype.element_ty))
    # Accumulate over taps and residual channels.
    blocks = tl.cdiv(R, BLOCK_K)
    for i in range(taps * blocks):
        tap = i // blocks
        r = i % blocks * BLOCK_K
        delay = (taps - 1 - tap).to(tl.int64) * dilation
        m_k = r + o_k < R
        m_x = m_row & (t >= delay) & m_k[None, :]
        b_x = tl.load(p_x - delay * x_stride_t + r.to(tl.int64) * x_stride_r, mask=m_x, other=0.0)
        p_block = p_w + (tap.to(tl.int64) * R + r) * weight_stride_k
        m_w = m_k[:, None] & m_g
        b_w = tl.load(p_block + o_filter * weight_stride_g, mask=m_w, other=0.0)
        b_filter = product(b_x, b_w, b_filter)
        b_w = tl.load(p_block + o_gate * weight_stride_g, mask=m_w, other=0.0)
        b_gate = product(b_x, b_w, b_gate)
    # Epilogue: bias, conditioning and gate.
    if bias is not None:
        b_filter += widen(tl.load(bias + o_filter * bias_stride, mask=m_g, other=0.0))
        b_gate += widen(tl.load(bias + o_gate * bias_stride, mask=m_g, other=0.0))
    if p_offset is not None:
        mask = m_row & m_g
        b_filter += widen(tl.load(p_offset + o_filter * offset_stride_g, mask=mask, other=0.0))
        b_gate += widen(tl.load(p_offset + o_gate * offset_stride_g, mask=mask, other=0.0))
    return apply_gate(b_filter, b_gate).to(p_row.dtype.element_ty)


@triton.jit
def project(
    b_h,
    p_h,
    weight,
    bias,
    p_before,
    p_after,
    m_row,
    first,
    width,
    G,
    weight_stride_g,
    weight_stride_n,
    bias_stride,
    before_stride_n,
    after_stride_n,
    BLOCK_T: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Store before + h W + bias for columns first .. first + width - 1 of W.

    h is ``b_h`` (BLOCK_T, BLOCK_K) in registers or, if that is None, in memory at the rows ``p_h`` (BLOCK_T, 1).
    ``p_before`` and ``p_after`` (BLOCK_T, 1) point to rows, ``p_before`` is None for zeros; ``m_row``
    (BLOCK_T, 1) masks rows that do not exist.
    """
    o_k = tl.arange(0, BLOCK_K)
    for start in range(0, width, BLOCK_N):
        o_n = start + tl.arange(0, BLOCK_N)
        m_n = (o_n < width)[None, :]
        o_n = o_n.to(tl.int64)[None, :]
        columns = (first + o_n) * weight_stride_n
        b_y = widen(tl.zeros((BLOCK_T, BLOCK_N), p_after.dtype.element_ty))
        # Accumulate over gated channels.
        if p_h is None:
            p_w = weight + o_k.to(tl.int64)[:, None] * weight_stride_g + columns
            b_y = product(b_h, tl.load(p_w, mask=(o_k < G)[:, None] & m_n, other=0.0), b_y)
        else:
            for g in range(0, G, BLOCK_K):
                o_g = g + o_k
                m_g = o_g < G
                b_block = tl.load(p_h + o_g[None, :], mask=m_row & m_g[None, :], other=0.0)  # (BLOCK_T, BLOCK_K)
                p_w = weight + o_g.to(tl.int64)[:, None] * weight_stride_g + columns
                b_y = product(b_block, tl.load(p_w, mask=m_g[:, None] & m_n, other=0.0), b_y)
        # Epilogue: bias and the stream so far.
        if bias is not None:
            b_y += widen(tl.load(bias + (first + o_n) * bias_stride, mask=m_n, other=0.0))
        mask = m_row & m_n
        if p_before is not None:
            b_y += widen(tl.load(p_before + o_n * before_stride_n, mask=mask, other=0.0))
        tl.store(p_after + o_n * after_stride_n, b_y.to(p_after.dtype.element_ty), mask=mask)


@triton.jit
def wavenet_layer_forward_kernel(
    x,
    gate_weight,
    gate_bias,
    out_weight,
    out_bias,
    offset,
    skip,
    y,
    skip_y,
    h,
    rows,
    length,
    taps,
    dilation,
    hop,
    R,
    G,
    S,
    x_stride_b,
    x_stride_t,
    x_stride_r,
    gate_weight_stride_k,
    gate_weight_stride_g,
    gate_bias_stride,
    out_weight_stride_g,
    out_weight_stride_n,
    out_bias_stride,
    offset_stride_b,
    offset_stride_f,
    offset_stride_g,
    skip_stride_b,
    skip_stride_t,
    skip_stride_s,
    y_stride_b,
    y_stride_t,
    y_stride_r,
    skip_y_stride_b,
    skip_y_stride_t,
    skip_y_stride_s,
    BLOCK_T: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_G: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Compute the whole layer for a block of positions."""
    start = tl.program_id(0).to(tl.int64) * BLOCK_T
    lane = tl.arange(0, BLOCK_T)
    m_row = (start + lane < rows)[:, None]
    o_t = start % length + lane
    b = (start // length + o_t // length)[:, None]  # (BLOCK_T, 1): sequence of each row
    t = (o_t % length)[:, None]  # (BLOCK_T, 1): position of each row
    x += b * x_stride_b + t * x_stride_t
    if offset is not None:
        offset += b * offset_stride_b + t // hop * offset_stride_f
    # The gated channels h: in registers if one block holds them, else through memory.
    if h is None:
        b_h = gated_channels(
            x,
            gate_weight,
            gate_bias,
            offset,
            m_row,
            t,
            0,
            taps,
            dilation,
            R,
            G,
            x_stride_t,
            x_stride_r,
            gate_weight_stride_k,
            gate_weight_stride_g,
            gate_bias_stride,
            offset_stride_g,
            BLOCK_T,
            BLOCK_K,
            BLOCK_G,
        )
    else:
        b_h = None
        h += ((start + lane) * G)[:, None]
        for g in range(0, G, BLOCK_G):
            b_block = gated_channels(
                x,
                gate_weight,
                gate_bias,
                offset,
                m_row,
                t,
                g,
                taps,
                dilation,
                R,
                G,
                x_stride_t,
                x_stride_r,
                gate_weight_stride_k,
                gate_weight_stride_g,
                gate_bias_stride,
                offset_stride_g,
                BLOCK_T,
                BLOCK_K,
                BLOCK_G,
            )
            o_g = g + tl.arange(0, BLOCK_G)[None, :]
            tl.store(h + o_g, b_block, mask=m_row & (o_g < G))
        tl.debug_barrier()  # each thread reads what other threads of this program stored
    # Project h to the residual stream, then to the skip stream.
    BLOCK_H: tl.constexpr = BLOCK_G if h is None else BLOCK_K
    project(
        b_h,
        h,
        out_weight,
        out_bias,
        x,
        y + b * y_stride_b + t * y_stride_t,
        m_row,
        0,
        R,
        G,
        out_weight_stride_g,
        out_weight_stride_n,
        out_bias_stride,
        x_stride_r,
        y_stride_r,
        BLOCK_T,
        BLOCK_H,
        BLOCK_N,
    )
    if skip_y is not None:
        project(
            b_h,
            h,
            out_weight,
            out_bias,
            None if skip is None else skip + b * skip_stride_b + t * skip_stride_t,
            skip_y + b * skip_y_stride_b + t * skip_y_stride_t,
            m_row,
            R,
            S,
            G,
            out_weight_stride_g,
            out_weight_stride_n,
            out_bias_stride,
            skip_stride_s,
            skip_y_stride_s,
            BLOCK_T,
            BLOCK_H,
            BLOCK_N,
        )

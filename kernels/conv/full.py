"""Full, channel-mixing causal convolution as an implicit matrix product: programs, launchers, backward.

A program makes a tile of output channels by positions: a product over (tap, input channel), accumulated in
float32. The weight is laid out once a call as (W, D_out, D_in), so that its loads are wide; it is small
beside what the convolution reads, and nothing else is copied. float32 is multiplied as three TF32 products
on NVIDIA's tensor cores (float32's accuracy, to a bit or two), plainly elsewhere; float64 by multiplying and
summing.
Backward recomputes the pre-activation with the forward program, where there is an activation, into a buffer
of its gradient's size; convolves that with the transposed weight in reverse time; and sums products over
positions for the weight, each program over its own share of them into a buffer that is reduced afterwards,
always in the same order.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels.conv.taps import (
    activated,
    activated_gradient,
    joined,
    like_doubled,
    ranges,
    split_dilation,
    strides,
    tap,
    vector,
)
from arbench.kernels.core.launch import empty, empty_like, interpreted, launch
from arbench.kernels.core.rows import widen

PROGRAMS = 1024
"""About so many take part in the weight's gradient, each with its share of the positions."""


@triton.jit
def product(a, b, total, PRECISION: tl.constexpr):
    """total + a b for tiles (M, K) and (K, N)."""
    if total.dtype == tl.float64:
        return total + tl.sum(a[:, :, None] * b[None, :, :], 1)
    else:
        return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
def load_weight(p, m, M, k, K, WIDE: tl.constexpr):
    """The block (m, k) of a contiguous matrix (M, K)."""
    p_w = p + m.to(tl.int64)[:, None] * K + k[None, :]
    w = tl.load(p_w, mask=(m < M)[:, None] & (k < K)[None, :], other=0.0)
    if WIDE:
        return widen(w)
    else:
        return w


@triton.jit
def full_forward(
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
    xb,
    xd,
    xl,
    sb,
    sd,
    sl,
    bd,
    gb,
    gd,
    gl,
    yb,
    yd,
    yl,
    dilation,
    far,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    AHEAD: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDE: tl.constexpr,
    BO: tl.constexpr,
    BK: tl.constexpr,
    BT: tl.constexpr,
):
    n_o = tl.cdiv(D_out, BO)
    n_t = tl.cdiv(end - begin, BT)
    program = tl.program_id(0)
    b = (program // n_o // n_t).to(tl.int64)
    out = begin + program // n_o % n_t * BT + tl.arange(0, BT)
    o = program % n_o * BO + tl.arange(0, BO)
    at = out + origin
    x += b * xb
    reach = (WIDTH - 1) * dilation
    wider: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    pre = tl.zeros([BO, BT], wider)
    gate = tl.zeros([BO, BT], wider)
    size = tl.cast(D_out, tl.int64) * D_in  # of a tap's matrix
    if ACTIVATION == "gated":
        size *= 2
    if V == 1:
        n_k = tl.cdiv(D_in, BK)
        for i in range(WIDTH * n_k):
            k = i // n_k
            c = i % n_k * BK + tl.arange(0, BK)
            delay = (WIDTH - 1 - k) * dilation
            start = at + delay if AHEAD else at - delay
            p_s = None
            if states is not None:
                p_s = states + b * sb + c.to(tl.int64)[:, None] * sd
            b_x = tap(
                x + c.to(tl.int64)[:, None] * xd,
                p_s,
                start,
                (c < D_in)[:, None],
                L,
                xl,
                reach,
                sl,
                0,
                0,
                0,
                False,
                AHEAD,
                1,
                WIDE,
            )[0]
            p_w = weight + k * size
            pre = product(load_weight(p_w, o, D_out, c, D_in, WIDE), b_x, pre, PRECISION)
            if ACTIVATION == "gated":
                p_w += tl.cast(D_out, tl.int64) * D_in
                gate = product(load_weight(p_w, o, D_out, c, D_in, WIDE), b_x, gate, PRECISION)
    else:
        for k in tl.static_range(WIDTH):
            for first in range(0, D_in, BK):
                c = first + tl.arange(0, BK)
                delayed = tap(
                    x + c.to(tl.int64)[:, None] * xd,
                    None,
                    at,
                    (c < D_in)[:, None],
                    L,
                    xl,
                    0,
                    0,
                    far,
                    WIDTH - 1 - k,
                    RESIDUE,
                    FAR,
                    AHEAD,
                    V,
                    WIDE,
                )
                b_x = joined(delayed, V)
                p_w = weight + k * size
                pre = product(load_weight(p_w, o, D_out, c, D_in, WIDE), b_x, pre, PRECISION)
                if ACTIVATION == "gated":
                    p_w += tl.cast(D_out, tl.int64) * D_in
                    gate = product(load_weight(p_w, o, D_out, c, D_in, WIDE), b_x, gate, PRECISION)
    channel = (o < D_out)[:, None]
    mask = channel & (out < end)[None, :]
    o_o = o.to(tl.int64)[:, None]
    o_t = out.to(tl.int64)[None, :]
    if bias is not None:
        pre += widen(tl.load(bias + o_o * bd, mask=channel, other=0.0))
        if ACTIVATION == "gated":
            gate += widen(tl.load(bias + (o_o + D_out) * bd, mask=channel, other=0.0))
    p_y = y + b * yb + o_o * yd + o_t * yl
    if dy is None:
        tl.store(p_y, activated(pre, gate, ACTIVATION).to(y.dtype.element_ty), mask=mask)
    else:
        g = widen(tl.load(dy + b * gb + o_o * gd + o_t * gl, mask=mask, other=0.0))
        d_pre, d_gate = activated_gradient(g, pre, gate, ACTIVATION)
        tl.store(p_y, d_pre.to(y.dtype.element_ty), mask=mask)
        if ACTIVATION == "gated":
            p_y = y + b * yb + (o_o + D_out) * yd + o_t * yl
            tl.store(p_y, d_gate.to(y.dtype.element_ty), mask=mask)


@triton.jit
def full_weight_gradient(
    x,
    states,
    g,
    partial,
    partial_bias,
    D_in,
    D_out,
    L,
    begin,
    end,
    blocks,
    steps,
    xb,
    xd,
    xl,
    sb,
    sd,
    sl,
    gb,
    gd,
    gl,
    dilation,
    far,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDE: tl.constexpr,
    BO: tl.constexpr,
    BK: tl.constexpr,
    BT: tl.constexpr,
):
    n_i = tl.cdiv(D_in, BK)
    n_o = tl.cdiv(D_out, BO)
    program = tl.program_id(0)  # taps and blocks of one share of positions lie together
    k = program % WIDTH
    i = program // WIDTH % n_i * BK + tl.arange(0, BK)
    o = program // WIDTH // n_i % n_o * BO + tl.arange(0, BO)
    part = (program // WIDTH // n_i // n_o).to(tl.int64)
    wider: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    total = tl.zeros([BO, BK], wider)
    sums = tl.zeros([BO], wider)
    if V == 1:
        total, sums = correlation(
            x,
            states,
            g,
            i,
            o,
            D_in,
            D_out,
            L,
            begin,
            end,
            part,
            blocks,
            steps,
            xb,
            xd,
            xl,
            sb,
            sd,
            sl,
            gb,
            gd,
            gl,
            dilation,
            far,
            k,
            total,
            sums,
            0,
            WIDTH,
            RESIDUE,
            FAR,
            V,
            PRECISION,
            WIDE,
            BT,
        )
    else:
        for j in tl.static_range(WIDTH):  # a tap's lanes are known when it is compiled
            if k == j:
                total, sums = correlation(
                    x,
                    states,
                    g,
                    i,
                    o,
                    D_in,
                    D_out,
                    L,
                    begin,
                    end,
                    part,
                    blocks,
                    steps,
                    xb,
                    xd,
                    xl,
                    sb,
                    sd,
                    sl,
                    gb,
                    gd,
                    gl,
                    dilation,
                    far,
                    k,
                    total,
                    sums,
                    WIDTH - 1 - j,
                    WIDTH,
                    RESIDUE,
                    FAR,
                    V,
                    PRECISION,
                    WIDE,
                    BT,
                )
    o_o = o.to(tl.int64)
    p_p = partial + ((part * WIDTH + k) * D_out + o_o[:, None]) * D_in + i[None, :]
    tl.store(p_p, total, mask=(o < D_out)[:, None] & (i < D_in)[None, :])
    if program % (WIDTH * n_i) == 0:
        tl.store(partial_bias + part * D_out + o_o, sums, mask=o < D_out)


@triton.jit
def correlation(
    x,
    states,
    g,
    i,
    o,
    D_in,
    D_out,
    L,
    begin,
    end,
    part,
    blocks,
    steps,
    xb,
    xd,
    xl,
    sb,
    sd,
    sl,
    gb,
    gd,
    gl,
    dilation,
    far,
    k,
    total,
    sums,
    J: tl.constexpr,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDE: tl.constexpr,
    BT: tl.constexpr,
):
    """Adds sum_t g[o, t] x[i, t - (WIDTH - 1 - k) dilation] over a part's positions to ``total`` (O, I), and
    sum_t g[o, t] to ``sums`` (O,)."""
    n_t = tl.cdiv(end - begin, BT)
    reach = (WIDTH - 1) * dilation
    for step in range(tl.minimum(steps, blocks - part * steps)):
        block = part * steps + step
        b = block // n_t  # int64
        at = begin + (block % n_t).to(tl.int32) * BT + tl.arange(0, BT)
        inside = (o < D_out)[:, None] & (at < end)[None, :]
        p_g = g + b * gb + o.to(tl.int64)[:, None] * gd + at.to(tl.int64)[None, :] * gl
        b_g = tl.load(p_g, mask=inside, other=0.0)  # (O, T)
        if WIDE:
            b_g = widen(b_g)
        channel = (i < D_in)[:, None]
        p_x = x + b * xb + i.to(tl.int64)[:, None] * xd
        p_s = None
        if states is not None:
            p_s = states + b * sb + i.to(tl.int64)[:, None] * sd
        start = at
        if V == 1:
            start = at - (WIDTH - 1 - k) * dilation
        b_x = joined(
            tap(
                p_x,
                p_s,
                start,
                channel,
                L,
                xl,
                reach,
                sl,
                far,
                J,
                RESIDUE,
                FAR,
                False,
                V,
                WIDE,
            ),
            V,
        )
        total = product(b_g, tl.trans(b_x), total, PRECISION)
        sums += tl.sum(widen(b_g), 1)
    return total, sums


def _packed(weight: Tensor, *axes: int) -> Tensor:
    """The weight, its axes permuted, contiguous."""
    view = weight.permute(axes)
    return empty(view.shape, weight.dtype, weight.device).copy_(view)


def _arithmetic(x: Tensor) -> dict[str, Any]:
    """The interpreter multiplies bfloat16 as integers: there it is widened first."""
    precision = "tf32x3" if x.dtype == torch.float32 and not torch.version.hip else "ieee"
    return dict(PRECISION=precision, WIDE=interpreted() and x.dtype == torch.bfloat16)


def _block(size: int, most: int) -> int:
    return min(max(triton.next_power_of_2(size), 16), most)


def _tile(x: Tensor, D_out: int, D_in: int, length: int, weights: bool = False) -> dict[str, int]:
    """Output channels, input channels and positions that a program takes at a time; for the gradient of
    ``weights`` the sum is over positions, else over input channels."""
    if x.dtype == torch.float64:
        return dict(BO=16, BK=16, BT=16, num_warps=4)
    if x.itemsize == 2:
        most = 32 if x.stride(2) == 1 and not weights else 64  # vectors are split in registers
        return dict(BO=_block(D_out, 64), BK=_block(D_in, most), BT=_block(length, 128), num_warps=8)
    if weights:
        return dict(BO=_block(D_out, 64), BK=_block(D_in, 32), BT=_block(length, 32), num_warps=4)
    return dict(BO=_block(D_out, 64), BK=16, BT=_block(length, 64), num_warps=4)


def _launch(
    x: Tensor,
    states: Tensor | None,
    packed: Tensor,
    bias: Tensor | None,
    dy: Tensor | None,
    y: Tensor,
    dilation: int,
    activation: str | None,
    D_out: int,
) -> None:
    (B, D_in, L), W = x.shape, packed.shape[0]
    for begin, end, seen in ranges(x, states, W, dilation):
        V = vector(W, x) if seen is None else 1
        tile = _tile(x, D_out, D_in, end - begin)
        launch(
            full_forward,
            (B * triton.cdiv(D_out, tile["BO"]) * triton.cdiv(end - begin, tile["BT"]),),
            x,
            seen,
            packed,
            bias,
            dy,
            y,
            D_in,
            D_out,
            L,
            begin,
            end,
            0,
            *x.stride(),
            *strides(seen, 3),
            *strides(bias, 1),
            *strides(dy, 3),
            *y.stride(),
            dilation,
            dilation // V,
            WIDTH=W,
            AHEAD=False,
            ACTIVATION=activation,
            **split_dilation(dilation, V),
            **_arithmetic(x),
            **tile,
        )


def forward(
    x: Tensor,
    states: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    y: Tensor,
    dilation: int,
    activation: str | None,
) -> None:
    """Fills ``y`` (B, D_out, L), or (B, D_out / 2, L) if gated, from ``x`` (B, D_in, L)."""
    _launch(x, states, _packed(weight, 2, 0, 1), bias, None, y, dilation, activation, y.shape[1])


def gradient(
    x: Tensor,
    states: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    dy: Tensor,
    dilation: int,
    activation: str | None,
    weights: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients of the pre-activation, (B, D_out, L); of the weight and of the bias if ``weights``."""
    (B, D_in, L), (D_out, _, W) = x.shape, weight.shape
    g = dy
    if activation is not None:
        g = empty_like(dy) if activation == "silu" else like_doubled(dy)
        _launch(x, states, _packed(weight, 2, 0, 1), bias, dy, g, dilation, activation, dy.shape[1])
    if not weights:
        return g, None, None
    wider = torch.float64 if x.dtype == torch.float64 else torch.float32
    dw = torch.zeros((W, D_out, D_in), dtype=wider, device=x.device)
    db = torch.zeros(D_out, dtype=wider, device=x.device)
    for begin, end, seen in ranges(x, states, W, dilation):
        V = vector(W, x) if seen is None else 1
        tile = _tile(x, D_out, D_in, end - begin, weights=True)
        blocks = B * triton.cdiv(end - begin, tile["BT"])
        products = W * triton.cdiv(D_out, tile["BO"]) * triton.cdiv(D_in, tile["BK"])
        steps = triton.cdiv(blocks, max(1, PROGRAMS // products))
        parts = triton.cdiv(blocks, max(1, steps))
        partial = empty((parts, W, D_out, D_in), wider, x.device)
        partial_bias = empty((parts, D_out), wider, x.device)
        launch(
            full_weight_gradient,
            (products * parts,),
            x,
            seen,
            g,
            partial,
            partial_bias,
            D_in,
            D_out,
            L,
            begin,
            end,
            blocks,
            steps,
            *x.stride(),
            *strides(seen, 3),
            *g.stride(),
            dilation,
            dilation // V,
            WIDTH=W,
            **split_dilation(dilation, V),
            **_arithmetic(x),
            **tile,
        )
        dw += partial.sum(0)
        db += partial_bias.sum(0)
    return g, dw.permute(1, 2, 0).to(weight.dtype), db.to(weight.dtype)


def transposed(g: Tensor, weight: Tensor, dx: Tensor, dilation: int, origin: int = 0) -> None:
    """Fills ``dx`` (B, D_in, M): at position i, the gradient of input ``i + origin`` from those of the
    pre-activations, ``g`` (B, D_out, L)."""
    (B, D_out, L), (_, D_in, M), W = g.shape, dx.shape, weight.shape[2]
    V = vector(W, g) if origin == 0 else 1
    tile = _tile(g, D_in, D_out, M)
    launch(
        full_forward,
        (B * triton.cdiv(D_in, tile["BO"]) * triton.cdiv(M, tile["BT"]),),
        g,
        None,
        _packed(weight, 2, 1, 0),
        None,
        None,
        dx,
        D_out,
        D_in,
        L,
        0,
        M,
        origin,
        *g.stride(),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        *dx.stride(),
        dilation,
        dilation // V,
        WIDTH=W,
        AHEAD=True,
        ACTIVATION=None,
        **split_dilation(dilation, V),
        **_arithmetic(g),
        **tile,
    )

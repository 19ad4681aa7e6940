"""Depthwise causal convolution: programs and launchers, forward and backward.

Memory-bound: every element is read from memory once and written once; other taps find it in L1 or L2.
Along a contiguous L a program holds long runs of positions, in vectors with lanes (``conv_taps``).
Otherwise its vectors lie along the channels, and it takes positions a dilation apart: the taps of one row
are then rows of the same program, whatever the dilation (polyphase order).
Backward recomputes the pre-activation: nothing is kept but the inputs. One pass makes its gradient (only
where there is an activation) and partial sums of the weights' gradient, a second convolves it with the
weights in reverse time. Each program's partial sums go to a buffer that is reduced afterwards, always in the
same order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels.conv.taps import (
    UNROLLED,
    activated,
    activated_gradient,
    add_scaled,
    joined,
    lanes,
    like_doubled,
    nothing,
    ranges,
    repeated,
    split_dilation,
    strides,
    tap,
    vector,
)
from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.rows import widen

PROGRAMS = 1024
"""From so many on, a program of the weights' gradient takes more rows instead of there being more."""


@triton.jit
def tile_of(program, n_c, n_r, V: tl.constexpr):
    """Batch, channel block and row block of a program; neighbours lie along the contiguous axis."""
    if V == 1:
        return program // n_c // n_r, program % n_c, program // n_c % n_r
    else:
        return program // n_r // n_c, program // n_r % n_c, program % n_r


@triton.jit
def positions_of(block, rows, begin, end, dilation, V: tl.constexpr, N: tl.constexpr):
    """Positions (N V,) of a block of rows from ``begin`` on; ``end`` or more where there is none."""
    if V > 1:
        return begin + block * (N * V) + tl.arange(0, N * V)
    else:
        row = block * N + tl.arange(0, N)
        at = begin + row
        if dilation != 1:
            run = tl.cdiv(end - begin, dilation)  # rows a dilation apart
            at = tl.where(row < rows, begin + row % run * dilation + row // run, end)
        return at


@triton.jit
def filtered(
    p_x,
    p_s,
    weight,
    bias,
    row,
    at,
    channel,
    L,
    xl,
    reach,
    sl,
    wd,
    ww,
    bd,
    dilation,
    far,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    N: tl.constexpr,
    UNROLL: tl.constexpr,
):
    """bias + sum_k weight[row, k] x[at - (WIDTH - 1 - k) dilation], as V lanes (C, N)."""
    p_w = weight + row * wd  # (C, 1)
    zero = tl.zeros([p_w.shape[0], N], tl.float64 if weight.dtype.element_ty == tl.float64 else tl.float32)
    if bias is not None:
        zero += widen(tl.load(bias + row * bd, mask=channel, other=0.0))
    total = repeated(zero, V)
    if UNROLL:
        for k in tl.static_range(WIDTH):
            w = widen(tl.load(p_w + k * ww, mask=channel, other=0.0))
            x = tap(
                p_x,
                p_s,
                at,
                channel,
                L,
                xl,
                reach,
                sl,
                far,
                WIDTH - 1 - k,
                RESIDUE,
                FAR,
                False,
                V,
                True,
            )
            total = add_scaled(total, x, w, V)
    else:
        for k in range(WIDTH):
            w = widen(tl.load(p_w + k * ww, mask=channel, other=0.0))
            start = at - (WIDTH - 1 - k) * dilation
            x = tap(p_x, p_s, start, channel, L, xl, reach, sl, 0, 0, 0, False, False, V, True)
            total = add_scaled(total, x, w, V)
    return total


@triton.jit
def depthwise_forward(
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
    xb,
    xd,
    xl,
    sb,
    sd,
    sl,
    wd,
    ww,
    bd,
    yb,
    yd,
    yl,
    dilation,
    far,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    ACTIVATION: tl.constexpr,
    C: tl.constexpr,
    N: tl.constexpr,
):
    b, block_c, block_r = tile_of(tl.program_id(0), tl.cdiv(D, C), tl.cdiv(rows, N), V)
    at = positions_of(block_r, rows, begin, end, dilation, V, N)
    c = (block_c * C + tl.arange(0, C)).to(tl.int64)[:, None]  # (C, 1)
    channel = c < D
    b = b.to(tl.int64)
    p_x = x + b * xb + c * xd
    p_s = None
    if states is not None:
        p_s = states + b * sb + c * sd
    reach = (WIDTH - 1) * dilation
    HALVES: tl.constexpr = 2 if ACTIVATION == "gated" else 1
    UNROLL: tl.constexpr = V > 1 or (states is None and WIDTH * HALVES <= 8)
    pre = filtered(
        p_x,
        p_s,
        weight,
        bias,
        c,
        at,
        channel,
        L,
        xl,
        reach,
        sl,
        wd,
        ww,
        bd,
        dilation,
        far,
        WIDTH,
        RESIDUE,
        FAR,
        V,
        N,
        UNROLL,
    )
    gate = pre
    if ACTIVATION == "gated":
        gate = filtered(
            p_x,
            p_s,
            weight,
            bias,
            c + D,
            at,
            channel,
            L,
            xl,
            reach,
            sl,
            wd,
            ww,
            bd,
            dilation,
            far,
            WIDTH,
            RESIDUE,
            FAR,
            V,
            N,
            UNROLL,
        )
    out = nothing()
    for v in tl.static_range(V):
        out += (activated(pre[v], gate[v], ACTIVATION),)
    p_y = y + b * yb + c * yd + at.to(tl.int64)[None, :] * yl
    tl.store(p_y, joined(out, V).to(y.dtype.element_ty), mask=channel & (at < end)[None, :])


@triton.jit
def depthwise_gradient(
    x,
    states,
    weight,
    bias,
    dy,
    dpre,
    partial,
    D,
    L,
    rows,
    begin,
    end,
    steps,
    xb,
    xd,
    xl,
    sb,
    sd,
    sl,
    wd,
    ww,
    bd,
    gb,
    gd,
    gl,
    pb,
    pd,
    pl,
    dilation,
    far,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    ACTIVATION: tl.constexpr,
    TAPS: tl.constexpr,
    C: tl.constexpr,
    N: tl.constexpr,
):
    n_r = tl.cdiv(tl.cdiv(rows, N), steps)
    b, block_c, part = tile_of(tl.program_id(0), tl.cdiv(D, C), n_r, V)
    first = tl.program_id(1) * TAPS
    c = (block_c * C + tl.arange(0, C)).to(tl.int64)[:, None]  # (C, 1)
    channel = c < D
    b = b.to(tl.int64)
    p_x = x + b * xb + c * xd
    p_s = None
    if states is not None:
        p_s = states + b * sb + c * sd
    reach = (WIDTH - 1) * dilation
    HALVES: tl.constexpr = 2 if ACTIVATION == "gated" else 1
    UNROLL: tl.constexpr = V > 1 or (states is None and WIDTH * HALVES <= 8)
    accumulator: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    zero = tl.zeros([C, 1 if V == 1 else N], accumulator)
    sums = repeated(zero, HALVES * (TAPS + 1))
    for step in range(steps):
        block_r = part * steps + step
        at = positions_of(block_r, rows, begin, end, dilation, V, N)
        o_l = at.to(tl.int64)[None, :]
        inside = channel & (at < end)[None, :]  # (C, N V)
        grad = lanes(widen(tl.load(dy + b * gb + c * gd + o_l * gl, mask=inside, other=0.0)), V)
        grad_gate = grad
        if ACTIVATION is not None:
            pre = filtered(
                p_x,
                p_s,
                weight,
                bias,
                c,
                at,
                channel,
                L,
                xl,
                reach,
                sl,
                wd,
                ww,
                bd,
                dilation,
                far,
                WIDTH,
                RESIDUE,
                FAR,
                V,
                N,
                UNROLL,
            )
            gate = pre
            if ACTIVATION == "gated":
                gate = filtered(
                    p_x,
                    p_s,
                    weight,
                    bias,
                    c + D,
                    at,
                    channel,
                    L,
                    xl,
                    reach,
                    sl,
                    wd,
                    ww,
                    bd,
                    dilation,
                    far,
                    WIDTH,
                    RESIDUE,
                    FAR,
                    V,
                    N,
                    UNROLL,
                )
            of_pre = nothing()
            of_gate = nothing()
            for v in tl.static_range(V):
                d_pre, d_gate = activated_gradient(grad[v], pre[v], gate[v], ACTIVATION)
                of_pre += (d_pre,)
                of_gate += (d_gate,)
            grad = of_pre
            grad_gate = of_gate
        found = nothing()
        for h in tl.static_range(HALVES):
            g = grad if h == 0 else grad_gate
            for j in tl.static_range(TAPS):
                if TAPS == WIDTH:
                    b_x = tap(
                        p_x,
                        p_s,
                        at,
                        channel,
                        L,
                        xl,
                        reach,
                        sl,
                        far,
                        WIDTH - 1 - j,
                        RESIDUE,
                        FAR,
                        False,
                        V,
                        True,
                    )
                else:
                    start = at - (WIDTH - 1 - first - j) * dilation
                    b_x = tap(p_x, p_s, start, channel, L, xl, reach, sl, 0, 0, 0, False, False, V, True)
                found += (sums[h * (TAPS + 1) + j] + correlated(g, b_x, V),)
            if TAPS > 0:
                found += (sums[h * (TAPS + 1) + TAPS] + correlated(g, repeated(1.0, V), V),)
            else:
                found += (sums[h],)
        sums = found
        if dpre is not None:
            p_p = dpre + b * pb + o_l * pl
            store_once(p_p + c * pd, grad, inside, V)
            if ACTIVATION == "gated":
                store_once(p_p + (c + D) * pd, grad_gate, inside, V)
    if TAPS > 0:
        p_o = partial + (b * n_r + part) * (HALVES * (WIDTH + 1)) * D + c
        for h in tl.static_range(HALVES):
            for j in tl.static_range(TAPS + 1):
                total = sums[h * (TAPS + 1) + j]
                if V > 1:
                    total = tl.sum(total, 1, keep_dims=True)
                if j == TAPS:
                    if first == 0:
                        tl.store(p_o + (h * (WIDTH + 1) + WIDTH) * D, total, mask=channel)
                elif first + j < WIDTH:
                    tl.store(p_o + (h * (WIDTH + 1) + first + j) * D, total, mask=channel)


@triton.jit
def correlated(g, x, V: tl.constexpr):
    """Products summed over lanes; without lanes, over the row (C, N) to (C, 1)."""
    total = g[0] * x[0]
    for v in tl.static_range(1, V):
        total += g[v] * x[v]
    if V == 1:
        return tl.sum(total, 1, keep_dims=True)
    else:
        return total


@triton.jit
def store_once(p, x, mask, V: tl.constexpr):
    """Of the programs for several taps the first alone stores."""
    if tl.program_id(1) == 0:
        tl.store(p, joined(x, V).to(p.dtype.element_ty), mask=mask)


@triton.jit
def depthwise_transposed(
    g,
    weight,
    dx,
    D,
    L,
    M,
    rows,
    origin,
    gb,
    gd,
    gl,
    wd,
    ww,
    xb,
    xd,
    xl,
    dilation,
    far,
    HALVES: tl.constexpr,
    UNROLL: tl.constexpr,
    WIDTH: tl.constexpr,
    RESIDUE: tl.constexpr,
    FAR: tl.constexpr,
    V: tl.constexpr,
    C: tl.constexpr,
    N: tl.constexpr,
):
    b, block_c, block_r = tile_of(tl.program_id(0), tl.cdiv(D, C), tl.cdiv(rows, N), V)
    out = positions_of(block_r, rows, 0, M, dilation, V, N)
    at = out + origin
    c = (block_c * C + tl.arange(0, C)).to(tl.int64)[:, None]  # (C, 1)
    channel = c < D
    b = b.to(tl.int64)
    total = repeated(tl.zeros([C, N], tl.float64 if g.dtype.element_ty == tl.float64 else tl.float32), V)
    for h in tl.static_range(HALVES):
        p_g = g + b * gb + (c + h * D) * gd
        p_w = weight + (c + h * D) * wd
        if UNROLL:
            for k in tl.static_range(WIDTH):
                w = widen(tl.load(p_w + k * ww, mask=channel, other=0.0))
                b_g = tap(
                    p_g,
                    None,
                    at,
                    channel,
                    L,
                    gl,
                    0,
                    0,
                    far,
                    WIDTH - 1 - k,
                    RESIDUE,
                    FAR,
                    True,
                    V,
                    True,
                )
                total = add_scaled(total, b_g, w, V)
        else:
            for k in range(WIDTH):
                w = widen(tl.load(p_w + k * ww, mask=channel, other=0.0))
                start = at + (WIDTH - 1 - k) * dilation
                b_g = tap(p_g, None, start, channel, L, gl, 0, 0, 0, 0, 0, False, True, V, True)
                total = add_scaled(total, b_g, w, V)
    p_x = dx + b * xb + c * xd + out.to(tl.int64)[None, :] * xl
    tl.store(p_x, joined(total, V).to(dx.dtype.element_ty), mask=channel & (out < M)[None, :])


@dataclass(frozen=True)
class _Part:
    """Positions of a convolution that one launch takes, and how."""

    begin: int
    end: int
    states: Tensor | None
    rows: int
    """Vectors of positions; without lanes, positions."""
    tile: dict[str, int]
    """C channels by N rows, and the warps."""
    V: int
    blocks: int
    """Of channels."""
    row_blocks: int


def _part(
    x: Tensor,
    begin: int,
    end: int,
    states: Tensor | None,
    weight: Tensor,
    dilation: int,
    V: int,
    reduces: bool = False,
) -> _Part:
    """``reduces``: over rows; then a row's channels go to different threads, which need no other's sums."""
    D, s, length = x.shape[1], x.itemsize, end - begin
    halves, W = weight.shape[0] // D, weight.shape[1]
    if V > 1:
        rows = triton.cdiv(length, V)
        far = (W - 1) * dilation * s > 2048 and not reduces
        elements = (16384 if far else 4096) // s  # a far tap should lie in the program's own run
        elements //= 2 if W > 4 and not reduces else 1
        N = min(triton.next_power_of_2(rows), elements // V)
        C, warps = elements // V // N, 8 if far else 4
    else:
        rows = min(dilation, length) * triton.cdiv(length, dilation)
        if states is not None or x.stride(1) != 1:
            N = min(triton.next_power_of_2(rows), 128)
            C, warps = 1024 // N, 4
        else:
            C, N, warps = 512 // s, 32, 8
            if reduces:  # registers hold its sums, and the taps of all rows
                C, N, warps = 2048 // s, s if W * halves**2 <= 4 else 1, 4
            narrow = min(triton.next_power_of_2(D), C)
            C, N = narrow, min(triton.next_power_of_2(rows), C // narrow * N)
    C = min(triton.next_power_of_2(D), C)
    tile = dict(C=C, N=N, num_warps=warps)
    return _Part(begin, end, states, rows, tile, V, triton.cdiv(D, C), triton.cdiv(rows, N))


def _parts(
    x: Tensor, states: Tensor | None, weight: Tensor, dilation: int, V: int, reduces: bool = False
) -> list[_Part]:
    return [
        _part(x, begin, end, seen, weight, dilation, V if seen is None else 1, reduces)
        for begin, end, seen in ranges(x, states, weight.shape[1], dilation)
    ]


def forward(
    x: Tensor,
    states: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    y: Tensor,
    dilation: int,
    activation: str | None,
) -> None:
    """Fills ``y`` (B, D, L) from ``x`` (B, D, L), ``weight`` (D, W), or (2 D, W) if gated."""
    (B, D, L), W = x.shape, weight.shape[1]
    V = vector(W, x, y)
    for part in _parts(x, states, weight, dilation, V):
        launch(
            depthwise_forward,
            (B * part.blocks * part.row_blocks,),
            x,
            part.states,
            weight,
            bias,
            y,
            D,
            L,
            part.rows,
            part.begin,
            part.end,
            *x.stride(),
            *strides(part.states, 3),
            *weight.stride(),
            *strides(bias, 1),
            *y.stride(),
            dilation,
            dilation // part.V,
            WIDTH=W,
            ACTIVATION=activation,
            **split_dilation(dilation, part.V),
            **part.tile,
        )


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
    """Gradients of the pre-activation, (B, D or 2 D, L); of the weight and of the bias if ``weights``."""
    (B, D, L), W = x.shape, weight.shape[1]
    halves = weight.shape[0] // D
    dpre = None
    if activation is not None:
        dpre = empty_like(dy) if halves == 1 else like_doubled(dy)
    elif not weights:
        return dy, None, None
    p = dy if dpre is None else dpre
    V = vector(W, x, dy, p)
    parts = _parts(x, states, weight, dilation, V, reduces=True)
    steps = [min(max(1, B * t.blocks * t.row_blocks // PROGRAMS), 32, t.row_blocks) for t in parts]
    sums = [B * triton.cdiv(t.row_blocks, n) for t, n in zip(parts, steps, strict=True)]
    wider = torch.float64 if x.dtype == torch.float64 else torch.float32
    partial = empty((sum(sums) if weights else 0, halves, W + 1, D), wider, x.device)
    begin = 0
    for part, n, count in zip(parts, steps, sums, strict=True):
        taps = 0
        if weights:
            taps = W if part.V > 1 or W * halves <= UNROLLED else UNROLLED // 2 // halves
        launch(
            depthwise_gradient,
            (part.blocks * count, triton.cdiv(W, taps) if weights else 1),
            x,
            part.states,
            weight,
            bias,
            dy,
            dpre,
            partial[begin:],
            D,
            L,
            part.rows,
            part.begin,
            part.end,
            n,
            *x.stride(),
            *strides(part.states, 3),
            *weight.stride(),
            *strides(bias, 1),
            *dy.stride(),
            *p.stride(),
            dilation,
            dilation // part.V,
            WIDTH=W,
            ACTIVATION=activation,
            TAPS=taps,
            **split_dilation(dilation, part.V),
            **part.tile,
        )
        begin += count
    if not weights:
        return p, None, None
    total = partial.sum(0).movedim(1, 2).reshape(halves * D, W + 1).to(weight.dtype)
    return p, total[:, :W], total[:, W]


def transposed(g: Tensor, weight: Tensor, dx: Tensor, dilation: int, origin: int = 0) -> None:
    """Fills ``dx`` (B, D, M): at position i, the gradient of input ``i + origin`` from those of the
    pre-activations, ``g`` (B, D or 2 D, L)."""
    (B, D, M), W = dx.shape, weight.shape[1]
    if M == 0:
        return
    V = vector(W, g, dx) if origin == 0 else 1
    halves = weight.shape[0] // D
    unroll = V > 1 or (origin == 0 and W * halves <= UNROLLED)
    part = _part(dx, 0, M, None, weight, dilation, V)
    launch(
        depthwise_transposed,
        (B * part.blocks * part.row_blocks,),
        g,
        weight,
        dx,
        D,
        g.shape[2],
        M,
        part.rows,
        origin,
        *g.stride(),
        *weight.stride(),
        *dx.stride(),
        dilation,
        dilation // V,
        HALVES=halves,
        UNROLL=unroll,
        WIDTH=W,
        **split_dilation(dilation, V),
        **part.tile,
    )

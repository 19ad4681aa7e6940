"""One step of a causal convolution, on the inputs that its state keeps: a shifting window or a ring buffer.

Depthwise: one program holds some channels of one sequence, reads their taps and only then, behind a barrier,
changes their state; no other program touches them.
Full: every program of a sequence reads all its channels' taps. The new input is taken from x, never from
the state. A ring longer than (W - 1) dilation has a slot for it that nobody reads in that step, and one
program of each sequence writes it there and then; a ring of exactly that length keeps the oldest tap in it,
and a window moves every element: those are changed by a second launch, after the first.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels.causal_conv1d import activate, check_filter
from arbench.kernels.conv.taps import activated, nothing, strides
from arbench.kernels.core.launch import empty, interpreted, launch
from arbench.kernels.core.rows import widen
from arbench.kernels.core.spec import (
    CONVOLUTIONS,
    Config,
    Cost,
    Inputs,
    Kernel,
    Op,
    choose,
    floating,
    normal,
    same_device,
)

NAME = "causal_conv1d_update"
SHORTEST = 8
"""Longest window that is held while it is shifted."""


@triton.jit
def place_of(b, positions, indices, slots, S, ps, i_s, RING: tl.constexpr):
    """The slot of a sequence, -1 without one, and where in it the new input belongs: (t mod S) of a ring, S
    of a window. ``b`` is of any shape."""
    slot = b.to(tl.int64)
    if indices is not None:
        slot = tl.load(indices + slot * i_s).to(tl.int64)
        slot = tl.where(slot < slots, slot, -1)
    at = b.to(tl.int64) * 0 + S
    if RING:
        at = tl.load(positions + b.to(tl.int64) * ps).to(tl.int64) % S
        at = tl.where(at < 0, at + S, at)  # a remainder has the sign of what was divided
    return slot, at


@triton.jit
def advance(p_state, b_x, at, live, S, sl, RING: tl.constexpr, SHORT: tl.constexpr, BLOCK: tl.constexpr):
    """Puts the new inputs (C,) into the states (C, S) of as many channels; called by their only program.

    What was read of these states before is read by all threads before any is changed. A window of SHORT
    elements is in registers meanwhile, a longer one (SHORT = 0) moves block by block.
    """
    if RING:
        tl.debug_barrier()
        tl.store(p_state + at * sl, b_x, mask=live)
    elif SHORT > 0:
        kept = nothing()
        for s in tl.static_range(1, SHORT):
            kept += (tl.load(p_state + s * sl, mask=live, other=0.0),)
        kept += (b_x,)
        tl.debug_barrier()
        for s in tl.static_range(SHORT):
            tl.store(p_state + s * sl, kept[s], mask=live)
    else:
        for start in range(0, S, BLOCK):
            s = start + tl.arange(0, BLOCK)
            p_s = p_state[:, None] + s.to(tl.int64)[None, :] * sl
            later = tl.load(p_s + sl, mask=live[:, None] & (s < S - 1)[None, :], other=0.0)  # (C, BLOCK)
            moved = tl.where((s < S - 1)[None, :], later, b_x[:, None])
            tl.debug_barrier()
            tl.store(p_s, moved, mask=live[:, None] & (s < S)[None, :])


@triton.jit
def update_depthwise(
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
    xb,
    xd,
    ss,
    sd,
    sl,
    wd,
    ww,
    bd,
    ps,
    i_s,
    yb,
    yd,
    dilation,
    WIDTH: tl.constexpr,
    ACTIVATION: tl.constexpr,
    RING: tl.constexpr,
    SHORT: tl.constexpr,
    C: tl.constexpr,
    BLOCK: tl.constexpr,
):
    n_c = tl.cdiv(D, C)
    b = tl.program_id(0) // n_c
    c = (tl.program_id(0) % n_c * C + tl.arange(0, C)).to(tl.int64)  # (C,)
    slot, at = place_of(b, positions, indices, slots, S, ps, i_s, RING)
    live = c < tl.where(slot >= 0, D, 0)
    b = b.to(tl.int64)
    p_state = state + slot * ss + c * sd
    new = tl.load(x + b * xb + c * xd, mask=live, other=0.0)
    pre = filtered_step(p_state, new, weight, bias, c, at, live, S, sl, wd, ww, bd, dilation, WIDTH)
    gate = pre
    if ACTIVATION == "gated":
        gate = filtered_step(p_state, new, weight, bias, c + D, at, live, S, sl, wd, ww, bd, dilation, WIDTH)
    out = activated(pre, gate, ACTIVATION).to(y.dtype.element_ty)  # 0 without a slot
    tl.store(y + b * yb + c * yd, out, mask=c < D)
    advance(p_state, new, at, live, S, sl, RING, SHORT, BLOCK)


@triton.jit
def filtered_step(p_state, new, weight, bias, row, at, live, S, sl, wd, ww, bd, dilation, WIDTH: tl.constexpr):
    """bias + sum_k weight[row, k] x[t - (WIDTH - 1 - k) dilation], (C,)."""
    p_w = weight + row * wd
    total = widen(new) * widen(tl.load(p_w + (WIDTH - 1) * ww, mask=live, other=0.0))
    for k in range(WIDTH - 1):
        past = at - (WIDTH - 1 - k) * dilation
        past = tl.where(past < 0, past + S, past)
        w = widen(tl.load(p_w + k * ww, mask=live, other=0.0))
        total += w * widen(tl.load(p_state + past * sl, mask=live, other=0.0))
    if bias is not None:
        total += widen(tl.load(bias + row * bd, mask=live, other=0.0))
    return total


@triton.jit
def update_full(
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
    xb,
    xd,
    ss,
    sd,
    sl,
    wo,
    wi,
    ww,
    bd,
    ps,
    i_s,
    yb,
    yd,
    dilation,
    WIDTH: tl.constexpr,
    ACTIVATION: tl.constexpr,
    RING: tl.constexpr,
    WRITES: tl.constexpr,
    FLAT: tl.constexpr,
    WIDE: tl.constexpr,
    PRECISION: tl.constexpr,
    BB: tl.constexpr,
    BO: tl.constexpr,
    BQ: tl.constexpr,
):
    n_o = tl.cdiv(D_out, BO)
    b = tl.program_id(0) // n_o * BB + tl.arange(0, BB)
    o = tl.program_id(0) % n_o * BO + tl.arange(0, BO)
    o_o = o.to(tl.int64)
    real = tl.minimum(b, B - 1)  # where nothing is stored
    slot, at = place_of(real, positions, indices, slots, S, ps, i_s, RING)
    live = (slot >= 0) & (b < B)
    o_b = real.to(tl.int64)[:, None]
    wider: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    pre = tl.zeros([BB, BO], wider)
    gate = tl.zeros([BB, BO], wider)
    for start in range(0, D_in * WIDTH, BQ):
        q = start + tl.arange(0, BQ)  # channels by taps
        inside = (q < D_in * WIDTH)[None, :]
        i = (q // WIDTH).to(tl.int64)[None, :]
        delay = (WIDTH - 1 - q % WIDTH)[None, :]
        past = at[:, None] - delay * dilation
        past = tl.where(past < 0, past + S, past)
        mask = live[:, None] & inside
        kept = tl.load(state + slot[:, None] * ss + i * sd + past * sl, mask=mask & (delay > 0), other=0.0)
        new = tl.load(x + o_b * xb + i * xd, mask=mask & (delay == 0), other=0.0)
        b_x = tl.where(delay == 0, new, kept)  # (BB, BQ)
        if FLAT:
            p_w = weight + o_o[:, None] * wo + q.to(tl.int64)[None, :] * ww
        else:
            p_w = weight + o_o[:, None] * wo + i * wi + (q % WIDTH)[None, :] * ww
        b_w = tl.load(p_w, mask=(o < D_out)[:, None] & inside, other=0.0)  # (BO, BQ)
        pre = step_product(b_x, b_w, pre, WIDE, PRECISION)
        if ACTIVATION == "gated":
            p_w += tl.cast(D_out, tl.int64) * wo
            b_w = tl.load(p_w, mask=(o < D_out)[:, None] & inside, other=0.0)
            gate = step_product(b_x, b_w, gate, WIDE, PRECISION)
    if bias is not None:
        pre += widen(tl.load(bias + o_o * bd, mask=o < D_out, other=0.0))[None, :]
        if ACTIVATION == "gated":
            gate += widen(tl.load(bias + (o_o + D_out) * bd, mask=o < D_out, other=0.0))[None, :]
    out = tl.where(live[:, None], activated(pre, gate, ACTIVATION), 0.0)
    p_y = y + o_b * yb + o_o[None, :] * yd
    tl.store(p_y, out.to(y.dtype.element_ty), mask=(b < B)[:, None] & (o < D_out)[None, :])
    if WRITES and tl.program_id(0) % n_o == 0:
        for start in range(0, D_in, BQ):
            c = start + tl.arange(0, BQ)
            mask = live[:, None] & (c < D_in)[None, :]
            c = c.to(tl.int64)[None, :]
            new = tl.load(x + o_b * xb + c * xd, mask=mask, other=0.0)
            tl.store(state + slot[:, None] * ss + c * sd + at[:, None] * sl, new, mask=mask)


@triton.jit
def step_product(b_x, b_w, total, WIDE: tl.constexpr, PRECISION: tl.constexpr):
    """total (BB, BO) + b_x (BB, BQ) b_w (BO, BQ)^T; one sequence and float64 without tensor cores."""
    if b_x.shape[0] == 1 or b_x.dtype == tl.float64:
        return total + tl.sum(widen(b_x)[:, None, :] * widen(b_w)[None, :, :], 2)
    elif WIDE:
        return tl.dot(widen(b_x), tl.trans(widen(b_w)), total, input_precision=PRECISION)
    else:
        return tl.dot(b_x, tl.trans(b_w), total, input_precision=PRECISION)


@triton.jit
def update_state(
    x,
    state,
    positions,
    indices,
    D,
    slots,
    S,
    xb,
    xd,
    ss,
    sd,
    sl,
    ps,
    i_s,
    RING: tl.constexpr,
    SHORT: tl.constexpr,
    C: tl.constexpr,
    BLOCK: tl.constexpr,
):
    n_c = tl.cdiv(D, C)
    b = tl.program_id(0) // n_c
    c = (tl.program_id(0) % n_c * C + tl.arange(0, C)).to(tl.int64)
    slot, at = place_of(b, positions, indices, slots, S, ps, i_s, RING)
    live = c < tl.where(slot >= 0, D, 0)
    new = tl.load(x + b.to(tl.int64) * xb + c * xd, mask=live, other=0.0)
    advance(state + slot * ss + c * sd, new, at, live, S, sl, RING, SHORT, BLOCK)


def _channels(x: Tensor, S: int, ring: bool, halves: int = 1) -> dict[str, int]:
    """Channels that a program holds, few where the whole batch has few, so that there are programs; and how
    it moves a window."""
    B, D = x.shape
    C = min(triton.next_power_of_2(D), 2048 // x.itemsize // halves if B * D >= 2**17 else 256)
    if ring or S <= SHORTEST:
        return dict(C=C, SHORT=0 if ring else S, BLOCK=1)
    return dict(C=min(C, 128), SHORT=0, BLOCK=min(triton.next_power_of_2(S), 16))


def _depthwise(
    x: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    positions: Tensor | None,
    indices: Tensor | None,
    y: Tensor,
    dilation: int,
    activation: str | None,
) -> None:
    (B, D), (slots, _, S) = x.shape, state.shape
    tile = _channels(x, S, positions is not None, weight.shape[0] // D)
    launch(
        update_depthwise,
        (B * triton.cdiv(D, tile["C"]),),
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
        *x.stride(),
        *state.stride(),
        *weight.stride(),
        *strides(bias, 1),
        *strides(positions, 1),
        *strides(indices, 1),
        *y.stride(),
        dilation,
        WIDTH=weight.shape[1],
        ACTIVATION=activation,
        RING=positions is not None and S > 0,
        **tile,
    )


def _full(
    x: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    positions: Tensor | None,
    indices: Tensor | None,
    y: Tensor,
    dilation: int,
    activation: str | None,
) -> None:
    (B, D_in), (slots, _, S), D_out, W = x.shape, state.shape, y.shape[1], weight.shape[2]
    ring = positions is not None and S > 0
    writes = ring and (W - 1) * dilation < S
    if B == 1 or x.dtype == torch.float64:
        BB, BO, BQ = 1, min(triton.next_power_of_2(D_out), 16), 256
    else:
        BB, BO, BQ = min(max(triton.next_power_of_2(B), 16), 32), 32, 128 // x.itemsize
    BQ = min(max(triton.next_power_of_2(D_in * W), 16), BQ)
    launch(
        update_full,
        (triton.cdiv(B, BB) * triton.cdiv(D_out, BO),),
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
        *x.stride(),
        *state.stride(),
        *weight.stride(),
        *strides(bias, 1),
        *strides(positions, 1),
        *strides(indices, 1),
        *y.stride(),
        dilation,
        WIDTH=W,
        ACTIVATION=activation,
        RING=ring,
        WRITES=writes,
        FLAT=weight.stride(1) == W * weight.stride(2),
        WIDE=interpreted() and x.dtype == torch.bfloat16,
        PRECISION="tf32x3" if x.dtype == torch.float32 and not torch.version.hip else "ieee",
        BB=BB,
        BO=BO,
        BQ=BQ,
    )
    if writes or S == 0:
        return
    tile = _channels(x, S, ring)
    launch(
        update_state,
        (B * triton.cdiv(D_in, tile["C"]),),
        x,
        state,
        positions,
        indices,
        D_in,
        slots,
        S,
        *x.stride(),
        *state.stride(),
        *strides(positions, 1),
        *strides(indices, 1),
        RING=ring,
        **tile,
    )


def causal_conv1d_update(
    x: Tensor,
    conv_state: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    activation: str | None = None,
    cache_seqlens: Tensor | None = None,
    conv_state_indices: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """One step of ``causal_conv1d`` for each sequence of a batch. **Changes ``conv_state`` in place.**

    Args:
        x: (B, D), the new inputs.
        conv_state: (slots, D, S), S at least (W - 1) dilation, of any strides: the last inputs of each
            sequence. Without ``cache_seqlens`` a window, oldest input first: it is shifted by one, and the
            new input becomes the last. With ``cache_seqlens`` a ring buffer: the input of position t lies at
            t mod S; it starts as zeros, or as initial states where negative positions lie.
        weight, bias, dilation, activation: as of ``causal_conv1d``.
        cache_seqlens: (B,) int32 or int64, the position of each sequence's new input; not negative.
        conv_state_indices: (B,) int32 or int64, the slot of each sequence, no two the same; without, its
            index. A negative one is padding: its output is 0, and no state changes.

    Returns:
        (B, D), (B, D_out), or (B, D_out / 2) if full and gated. Nothing is differentiable.

    Raises:
        ValueError: shapes that do not match, too short a state, fewer slots than sequences, and as
            ``causal_conv1d``.
        TypeError: not floating-point, of different dtypes, or positions and indices that are not integers.
    """
    dilation = _check(x, conv_state, weight, bias, dilation, activation, cache_seqlens, conv_state_indices)
    run = _reference
    if choose(NAME, backend, x) == "triton":
        run = _depthwise if weight.dim() == 2 else _full
    channels = weight.shape[0] // (2 if activation == "gated" else 1)
    with torch.no_grad():
        y = empty((x.shape[0], channels), x.dtype, x.device)
        run(x, conv_state, weight, bias, cache_seqlens, conv_state_indices, y, dilation, activation)
    return y


def _check(
    x: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    activation: str | None,
    positions: Tensor | None,
    indices: Tensor | None,
) -> int:
    """Raises as promised; the dilation as a plain integer."""
    floating(NAME, x=x, conv_state=state, weight=weight, bias=bias)
    same_device(NAME, x=x, cache_seqlens=positions, conv_state_indices=indices)
    if x.dim() != 2:
        raise ValueError(f"{NAME}: x must be (B, D), and is of shape {tuple(x.shape)}")
    B, D = x.shape
    dilation = check_filter(NAME, D, weight, bias, dilation, activation)
    reach = (weight.shape[-1] - 1) * dilation
    if state.dim() != 3 or state.shape[1] != D or state.shape[2] < reach:
        raise ValueError(
            f"{NAME}: conv_state must be (slots, D, S) with D = {D} and S at least (W - 1) dilation = "
            f"{reach}, and is of shape {tuple(state.shape)}"
        )
    for name, tensor in (("cache_seqlens", positions), ("conv_state_indices", indices)):
        if tensor is None:
            continue
        if tensor.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"{NAME}: {name} must be int32 or int64, not {tensor.dtype}")
        if tensor.shape != (B,):
            raise ValueError(f"{NAME}: {name} must be (B,) = {(B,)}, and is of shape {tuple(tensor.shape)}")
    if indices is None and state.shape[0] < B:
        raise ValueError(f"{NAME}: {B} sequences need as many slots; conv_state has {state.shape[0]}")
    return dilation


def _reference(
    x: Tensor,
    state: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    positions: Tensor | None,
    indices: Tensor | None,
    y: Tensor,
    dilation: int,
    activation: str | None,
) -> None:
    (B, D), S, W = x.shape, state.shape[2], weight.shape[-1]
    slots = torch.arange(B, device=x.device) if indices is None else indices.long()
    live = slots >= 0
    slots, new = slots[live], x[live]
    kept = state[slots]  # (live, D, S)
    if positions is None:
        at = torch.full_like(slots, S)
    else:
        at = positions.long()[live] % max(S, 1)
    delays = torch.arange(W - 1, 0, -1, device=x.device) * dilation
    past = (at[:, None] - delays) % max(S, 1)  # (live, W - 1)
    taps = torch.cat([kept.gather(2, past[:, None].expand(-1, D, -1)), new[..., None]], 2)  # (live, D, W)
    if weight.dim() == 3:
        pre = torch.einsum("bik,oik->bo", taps, weight)
    else:
        pre = (taps.repeat(1, weight.shape[0] // D, 1) * weight).sum(2)
    y.zero_()
    y[live] = activate(pre if bias is None else pre + bias, activation, 1)
    if S == 0:
        return
    if positions is None:
        state[slots] = torch.cat([kept[..., 1:], new[..., None]], 2)
    else:
        state[slots, :, at] = new


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    batch: int,
    channels: int,
    width: int,
    out: int | None = None,
    dilation: int = 1,
    state: int | None = None,
    activation: str | None = None,
    ring: bool = False,
    indices: bool = False,
    bias: bool = True,
) -> Inputs:
    """``state``: S, as short as may be without; ``indices``: slots in reverse order, twice as many."""

    def made(*shape: int, scale: float = 1.0) -> Tensor:
        return normal(shape, dtype, device, generator) * scale

    rows = out or channels * (2 if activation == "gated" else 1)
    fan = width * (1 if out is None else channels)
    shape = (rows, width) if out is None else (rows, channels, width)
    count = torch.arange(batch, dtype=torch.int32, device=device)
    S = (width - 1) * dilation if state is None else state
    return {
        "x": made(batch, channels),
        "conv_state": made(batch * (2 if indices else 1), channels, S),
        "weight": made(*shape, scale=fan**-0.5),
        "bias": made(rows) if bias else None,
        "dilation": dilation,
        "activation": activation,
        "cache_seqlens": count * 7 if ring else None,
        "conv_state_indices": 2 * batch - 1 - 2 * count if indices else None,
    }


def _cost(op: Op, inputs: Inputs) -> Cost:
    x, state, weight, bias = (inputs[k] for k in ("x", "conv_state", "weight", "bias"))
    (B, D), S, W = x.shape, state.shape[2], weight.shape[-1]
    pre = B * weight.shape[0]
    y = pre // 2 if inputs["activation"] == "gated" else pre
    moved = 2 * S if inputs["cache_seqlens"] is None else W  # a ring: W - 1 read, 1 written
    small = weight.numel() + (0 if bias is None else bias.numel())
    extra = {None: 0, "silu": 4 * y, "gated": 7 * y}[inputs["activation"]]
    return Cost((x.numel() + y + B * D * moved + small) * x.itemsize, 2 * B * weight.numel() + extra)


def _dims(config: Config) -> tuple[int, int]:
    return config["batch"], config["channels"]


def _vectorised(program: str, config: Config) -> bool:
    """The weight of a full convolution."""
    return program == "update_full"


_WAVENET: dict[str, Any] = dict(channels=64, out=128, width=2, dilation=16, state=64, ring=True, activation="gated")
CAUSAL_CONV1D_UPDATE = Kernel(
    name=NAME,
    summary="one step of a causal convolution, on a window or a ring buffer changed in place",
    call=causal_conv1d_update,
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = (B D + B D_y + weights + 2 B D S (window) or B D W (ring)) s, "
        "FLOPs = 2 B |weight| + 4 (silu), 7 (gated) a y"
    },
    matrix=[
        dict(batch=512, channels=4096, width=4, activation="silu"),
        dict(batch=512, channels=4096, width=3, dilation=4, ring=True, indices=True, activation="gated"),
        dict(batch=1, **_WAVENET),
        dict(batch=64, channels=64, out=128, width=2, dilation=16, activation="silu"),
    ],
    checks=[
        dict(batch=3, channels=5, width=4, activation="silu"),
        dict(batch=3, channels=5, width=3, dilation=2, state=7, ring=True, indices=True, activation="gated"),
        dict(batch=3, channels=5, out=6, width=3, dilation=2, ring=True, activation="gated"),
        dict(batch=1, channels=5, out=3, width=2, dilation=3, state=5, ring=True, bias=False),
        dict(batch=2, channels=5, out=3, width=2, dilation=20, indices=True),
    ],
    sizes={
        "cpu": [
            dict(batch=64, channels=4096, width=4, activation="silu"),
            dict(batch=1, **_WAVENET),
        ],
        "cuda": [
            dict(batch=1, channels=4096, width=4, activation="silu"),
            dict(batch=512, channels=4096, width=4, activation="silu"),
            dict(batch=512, channels=4096, width=4, dilation=4, ring=True, activation="silu"),
            dict(batch=1, **_WAVENET),
            dict(batch=512, **_WAVENET),
        ],
    },
    dims=_dims,
    element="channel",
    tolerance=CONVOLUTIONS,
    vectorised=_vectorised,
)

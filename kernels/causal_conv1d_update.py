"""One step of a causal convolution on a state of past inputs: a shifting window or a ring buffer.

Depthwise: one program owns some channels of one sequence. It reads their taps and, after a barrier, changes
their state; no other program touches them.
Full: every program of a sequence reads the taps of all its channels, the new input from x, never from the
state. In a ring longer than (W - 1) dilation no program reads the slot of the new input in that step, so one
program of each sequence writes it in the same launch. A ring of exactly that length has its oldest tap in the
slot, and a window moves every element: a second launch changes them.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from arbench.kernels.causal_conv1d import activate, check_filter
from arbench.kernels.conv.taps import strides_of
from arbench.kernels.conv.update_programs import (
    conv1d_update_state_kernel,
    depthwise_conv1d_update_kernel,
    full_conv1d_update_kernel,
)
from arbench.kernels.core.calls import as_given
from arbench.kernels.core.launch import empty, interpreted, launch
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
LONGEST_IN_REGISTERS = 8
"""Longest window that passes through registers while it is shifted."""


def _tile(x: Tensor, S: int, ring: bool, halves: int = 1) -> dict[str, int]:
    """Return the channels of a program and the blocks of its window.

    A small problem gets few channels per program, so that there are enough programs.
    """
    B, D = x.shape
    block_d = min(triton.next_power_of_2(D), 2048 // x.itemsize // halves if B * D >= 2**17 else 256)
    if ring or S <= LONGEST_IN_REGISTERS:
        return dict(BLOCK_D=block_d, WINDOW=0 if ring else S, BLOCK_S=1)
    return dict(BLOCK_D=min(block_d, 128), WINDOW=0, BLOCK_S=min(triton.next_power_of_2(S), 16))


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
    tile = _tile(x, S, positions is not None, weight.shape[0] // D)
    launch(
        depthwise_conv1d_update_kernel,
        (B * triton.cdiv(D, tile["BLOCK_D"]),),
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
        *strides_of(bias, 1),
        *strides_of(positions, 1),
        *strides_of(indices, 1),
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
        block_b, block_o, block_k = 1, min(triton.next_power_of_2(D_out), 16), 256
    else:
        block_b, block_o, block_k = min(max(triton.next_power_of_2(B), 16), 32), 32, 128 // x.itemsize
    block_k = min(max(triton.next_power_of_2(D_in * W), 16), block_k)
    launch(
        full_conv1d_update_kernel,
        (triton.cdiv(B, block_b) * triton.cdiv(D_out, block_o),),
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
        *strides_of(bias, 1),
        *strides_of(positions, 1),
        *strides_of(indices, 1),
        *y.stride(),
        dilation,
        WIDTH=W,
        ACTIVATION=activation,
        RING=ring,
        WRITES_STATE=writes,
        DENSE_WEIGHT=weight.stride(1) == W * weight.stride(2),
        WIDEN=interpreted() and x.dtype == torch.bfloat16,
        PRECISION="tf32x3" if x.dtype == torch.float32 and not torch.version.hip else "ieee",
        BLOCK_B=block_b,
        BLOCK_O=block_o,
        BLOCK_K=block_k,
    )
    if writes or S == 0:
        return
    tile = _tile(x, S, ring)
    launch(
        conv1d_update_state_kernel,
        (B * triton.cdiv(D_in, tile["BLOCK_D"]),),
        x,
        state,
        positions,
        indices,
        D_in,
        slots,
        S,
        *x.stride(),
        *state.stride(),
        *strides_of(positions, 1),
        *strides_of(indices, 1),
        RING=ring,
        **tile,
    )


@as_given
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
    """Compute one step of ``causal_conv1d`` for each sequence of a batch; changes ``conv_state`` **in place**.

    Args:
        x: (B, D), the new inputs.
        conv_state: (slots, D, S) of any strides, S at least (W - 1) dilation: the last inputs of each
            sequence. Without ``cache_seqlens`` it is a window, oldest input first, which is shifted by one to
            append the new input. With ``cache_seqlens`` it is a ring buffer with the input of position t at
            t mod S; initially it contains zeros, or initial states at negative positions.
        weight: (D, W) or (D_out, D, W), as in ``causal_conv1d``.
        bias: (output channels,); None for zeros.
        dilation: at least 1.
        activation: None, "silu" or "gated", as in ``causal_conv1d``.
        cache_seqlens: (B,) int32 or int64, the non-negative position of each sequence's new input; None for a
            window.
        conv_state_indices: (B,) int32 or int64, the slot of each sequence, all different; None for its index
            in the batch. A negative slot is padding: its output is 0, and no state changes.
        backend: "eager" or "triton"; by default Triton for a tensor on a GPU.

    Returns:
        y (B, D), (B, D_out), or (B, D_out / 2) if full and gated. Not differentiable.

    Raises:
        ValueError: shapes do not match, the state is too short, there are fewer slots than sequences, or an
            error of ``causal_conv1d``.
        TypeError: tensors are not floating-point or have different dtypes; positions or indices are not int32
            or int64.
    """
    dilation = _check(x, conv_state, weight, bias, dilation, activation, cache_seqlens, conv_state_indices)
    run = _eager
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
    """Check the arguments of ``causal_conv1d_update`` and return the dilation as an int."""
    floating(NAME, x=x, conv_state=state, weight=weight, bias=bias)
    same_device(NAME, x=x, cache_seqlens=positions, conv_state_indices=indices)
    if x.dim() != 2:
        raise ValueError(f"{NAME}: x must be (B, D), not of shape {tuple(x.shape)}")
    B, D = x.shape
    dilation = check_filter(NAME, D, weight, bias, dilation, activation)
    reach = (weight.shape[-1] - 1) * dilation
    if state.dim() != 3 or state.shape[1] != D or state.shape[2] < reach:
        raise ValueError(
            f"{NAME}: conv_state must be (slots, D, S) with D = {D} and S at least (W - 1) dilation = "
            f"{reach}, not of shape {tuple(state.shape)}"
        )
    for name, tensor in (("cache_seqlens", positions), ("conv_state_indices", indices)):
        if tensor is None:
            continue
        if tensor.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"{NAME}: {name} must be int32 or int64, not {tensor.dtype}")
        if tensor.shape != (B,):
            raise ValueError(f"{NAME}: {name} must be (B,) = {(B,)}, not of shape {tuple(tensor.shape)}")
    if indices is None and state.shape[0] < B:
        raise ValueError(f"{NAME}: {B} sequences need {B} slots; conv_state has {state.shape[0]}")
    return dilation


def _eager(
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
    """Return random arguments.

    ``state`` is S, by default the shortest possible; with ``indices`` there are twice as many slots as sequences,
    in reverse order.
    """

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
    """Return whether a program loads 128 bits at a time: the weight of a full convolution does."""
    return program == "full_conv1d_update_kernel"


_WAVENET: dict[str, Any] = dict(channels=64, out=128, width=2, dilation=16, state=64, ring=True, activation="gated")
CAUSAL_CONV1D_UPDATE = Kernel(
    name=NAME,
    summary="one step of a causal convolution, on a window or a ring buffer changed in place",
    call=causal_conv1d_update,
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = (B D + B D_y + weights + states) s, states = 2 B D S of a window or B D W of a ring, "
        "FLOPs = 2 B |weight| + 4 |y| for silu, 7 |y| for gated"
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

"""Launchers of the depthwise causal convolution, forward and backward.

Memory-bound: every element is read from memory once and written once; other taps find it in L1 or L2.
With a contiguous L a program takes long runs of positions, in vectors split into lanes (``conv.taps``).
Otherwise its vectors lie along the channels and it takes positions a dilation apart: the taps of one row are
then rows of the same program, whatever the dilation (polyphase order).
The backward pass recomputes the pre-activation, so nothing but the inputs is kept. One program computes the
gradient of the pre-activation (only if there is an activation) and partial sums of the weight gradient, a
second convolves the former with the weights in reverse time. Partial sums go to a buffer that is reduced
afterwards, always in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from arbench.kernels.conv.depthwise_backward import (
    depthwise_conv1d_backward_input_kernel,
    depthwise_conv1d_backward_weight_kernel,
)
from arbench.kernels.conv.depthwise_forward import depthwise_conv1d_forward_kernel
from arbench.kernels.conv.taps import (
    MAX_UNROLLED,
    dilation_constants,
    empty_doubled,
    position_ranges,
    strides_of,
    vector_length,
)
from arbench.kernels.core.launch import empty, empty_like, launch

TARGET_PROGRAMS = 1024
"""Programs of the weight gradient; a larger problem gives each program more blocks of rows."""


@dataclass(frozen=True)
class _Launch:
    """Positions that one launch covers, and its tiles."""

    begin: int
    end: int
    states: Tensor | None
    rows: int
    """Vectors of positions; positions if VEC is 1."""
    tile: dict[str, int]
    """BLOCK_D channels by BLOCK_L rows, and the warps."""
    vec: int
    unroll: bool
    channel_blocks: int
    row_blocks: int


def _plan(
    x: Tensor,
    begin: int,
    end: int,
    states: Tensor | None,
    weight: Tensor,
    dilation: int,
    vec: int,
    reduces: bool = False,
) -> _Launch:
    """Choose the tiles of a launch.

    If the program ``reduces`` over rows, the channels of a row belong to different threads, so that no thread
    needs the sums of another.
    """
    D, s, length = x.shape[1], x.itemsize, end - begin
    halves, W = weight.shape[0] // D, weight.shape[1]
    if vec > 1:
        rows = triton.cdiv(length, vec)
        far = (W - 1) * dilation * s > 2048 and not reduces
        elements = (16384 if far else 4096) // s  # the run of a program should include its farthest tap
        elements //= 2 if W > 4 and not reduces else 1
        block_l = min(triton.next_power_of_2(rows), elements // vec)
        block_d, warps = elements // vec // block_l, 8 if far else 4
    else:
        rows = min(dilation, length) * triton.cdiv(length, dilation)
        if states is not None or x.stride(1) != 1:
            block_l = min(triton.next_power_of_2(rows), 128)
            block_d, warps = 1024 // block_l, 4
        else:
            block_d, block_l, warps = 512 // s, 32, 8
            if reduces:  # registers hold its sums, and the taps of all rows
                block_d, block_l, warps = 2048 // s, s if W * halves**2 <= 4 else 1, 4
            narrow = min(triton.next_power_of_2(D), block_d)
            block_d, block_l = narrow, min(triton.next_power_of_2(rows), block_d // narrow * block_l)
    block_d = min(triton.next_power_of_2(D), block_d)
    tile = dict(BLOCK_D=block_d, BLOCK_L=block_l, num_warps=warps)
    unroll = vec > 1 or (states is None and W * halves <= MAX_UNROLLED)
    return _Launch(begin, end, states, rows, tile, vec, unroll, triton.cdiv(D, block_d), triton.cdiv(rows, block_l))


def _plans(
    x: Tensor, states: Tensor | None, weight: Tensor, dilation: int, vec: int, reduces: bool = False
) -> list[_Launch]:
    return [
        _plan(x, begin, end, seen, weight, dilation, vec if seen is None else 1, reduces)
        for begin, end, seen in position_ranges(x, states, weight.shape[1], dilation)
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
    """Fill ``y`` (B, D, L) from ``x`` (B, D, L) and ``weight`` (D, W), or (2 D, W) if gated."""
    (B, D, L), W = x.shape, weight.shape[1]
    for plan in _plans(x, states, weight, dilation, vector_length(W, x, y)):
        launch(
            depthwise_conv1d_forward_kernel,
            (B * plan.channel_blocks * plan.row_blocks,),
            x,
            plan.states,
            weight,
            bias,
            y,
            D,
            L,
            plan.rows,
            plan.begin,
            plan.end,
            *x.stride(),
            *strides_of(plan.states, 3),
            *weight.stride(),
            *strides_of(bias, 1),
            *y.stride(),
            dilation,
            dilation // plan.vec,
            WIDTH=W,
            ACTIVATION=activation,
            HALVES=weight.shape[0] // D,
            UNROLL=plan.unroll,
            **dilation_constants(dilation, plan.vec),
            **plan.tile,
        )


def backward_weight(
    x: Tensor,
    states: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    dy: Tensor,
    dilation: int,
    activation: str | None,
    needs_weight: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return gradients of the pre-activation, (B, D or 2 D, L), of the weight and of the bias.

    Those of weight and bias are None unless ``needs_weight``.
    """
    (B, D, L), W = x.shape, weight.shape[1]
    halves = weight.shape[0] // D
    dpre = None
    if activation is not None:
        dpre = empty_like(dy) if halves == 1 else empty_doubled(dy)
    elif not needs_weight:
        return dy, None, None
    g = dy if dpre is None else dpre
    plans = _plans(x, states, weight, dilation, vector_length(W, x, dy, g), reduces=True)
    steps = [min(max(1, B * p.channel_blocks * p.row_blocks // TARGET_PROGRAMS), 32, p.row_blocks) for p in plans]
    splits = [B * triton.cdiv(p.row_blocks, n) for p, n in zip(plans, steps, strict=True)]
    wider = torch.float64 if x.dtype == torch.float64 else torch.float32
    partial = empty((sum(splits) if needs_weight else 0, halves, W + 1, D), wider, x.device)
    begin = 0
    for plan, n, count in zip(plans, steps, splits, strict=True):
        taps = 0
        if needs_weight:
            taps = W if plan.vec > 1 or W * halves <= MAX_UNROLLED else MAX_UNROLLED // 2 // halves
        launch(
            depthwise_conv1d_backward_weight_kernel,
            (plan.channel_blocks * count, triton.cdiv(W, taps) if needs_weight else 1),
            x,
            plan.states,
            weight,
            bias,
            dy,
            dpre,
            partial[begin:],
            D,
            L,
            plan.rows,
            plan.begin,
            plan.end,
            n,
            *x.stride(),
            *strides_of(plan.states, 3),
            *weight.stride(),
            *strides_of(bias, 1),
            *dy.stride(),
            *g.stride(),
            dilation,
            dilation // plan.vec,
            WIDTH=W,
            ACTIVATION=activation,
            HALVES=halves,
            UNROLL=plan.unroll,
            TAPS=taps,
            **dilation_constants(dilation, plan.vec),
            **plan.tile,
        )
        begin += count
    if not needs_weight:
        return g, None, None
    total = partial.sum(0).movedim(1, 2).reshape(halves * D, W + 1).to(weight.dtype)
    return g, total[:, :W], total[:, W]


def backward_input(dpre: Tensor, weight: Tensor, dx: Tensor, dilation: int, origin: int = 0) -> None:
    """Fill ``dx`` (B, D, M) with the gradients of inputs ``origin`` to ``origin + M - 1``.

    Args:
        dpre: (B, D or 2 D, L), gradients of the pre-activations.
        weight: (D or 2 D, W).
        dx: (B, D, M), the result.
        dilation: at least 1.
        origin: position of the first input; negative for initial states.
    """
    (B, D, M), W = dx.shape, weight.shape[1]
    if M == 0:
        return
    vec = vector_length(W, dpre, dx) if origin == 0 else 1
    halves = weight.shape[0] // D
    plan = _plan(dx, 0, M, None, weight, dilation, vec)
    launch(
        depthwise_conv1d_backward_input_kernel,
        (B * plan.channel_blocks * plan.row_blocks,),
        dpre,
        weight,
        dx,
        D,
        dpre.shape[2],
        M,
        plan.rows,
        origin,
        *dpre.stride(),
        *weight.stride(),
        *dx.stride(),
        dilation,
        dilation // vec,
        HALVES=halves,
        UNROLL=vec > 1 or (origin == 0 and W * halves <= MAX_UNROLLED),
        WIDTH=W,
        **dilation_constants(dilation, vec),
        **plan.tile,
    )

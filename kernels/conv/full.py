"""Launchers of the full, channel-mixing causal convolution, forward and backward.

A program computes a tile of output channels by positions: a product over (tap, input channel), accumulated in
float32. The weight is copied once a call to (W, D_out, D_in), so that its loads are wide; it is small beside
what the convolution reads, and nothing else is copied. float32 is multiplied as three TF32 products on
NVIDIA's tensor cores (float32's accuracy, to a bit or two) and plainly elsewhere; float64 multiplies and sums.
The backward pass recomputes the pre-activation with the forward program, if there is an activation, into a
buffer of its gradient's size; convolves that with the transposed weight in reverse time; and sums products
over positions for the weight. Each program sums over its own split of the positions into a buffer that is
reduced afterwards, always in the same order.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from arbench.kernels.conv.full_programs import full_conv1d_backward_weight_kernel, full_conv1d_kernel
from arbench.kernels.conv.taps import dilation_constants, empty_doubled, position_ranges, strides_of, vector_length
from arbench.kernels.core.launch import empty, empty_like, interpreted, launch

TARGET_PROGRAMS = 1024
"""Approximate number of programs of the weight gradient; each sums over its split of the positions."""


def _packed(weight: Tensor, *axes: int) -> Tensor:
    """Return the weight with its axes permuted, contiguous."""
    view = weight.permute(axes)
    return empty(view.shape, weight.dtype, weight.device).copy_(view)


def _arithmetic(x: Tensor) -> dict[str, Any]:
    """Return the constants PRECISION and WIDEN; the interpreter multiplies bfloat16 as integers unless widened."""
    precision = "tf32x3" if x.dtype == torch.float32 and not torch.version.hip else "ieee"
    return dict(PRECISION=precision, WIDEN=interpreted() and x.dtype == torch.bfloat16)


def _block(size: int, most: int) -> int:
    return min(max(triton.next_power_of_2(size), 16), most)


def _tile(x: Tensor, D_out: int, D_in: int, length: int, reduces_positions: bool = False) -> dict[str, int]:
    """Return the output channels, input channels and positions of a tile, and its warps.

    The sum is over positions if ``reduces_positions`` (the weight gradient), else over input channels.
    """
    if x.dtype == torch.float64:
        return dict(BLOCK_O=16, BLOCK_I=16, BLOCK_L=16, num_warps=4)
    if x.itemsize == 2:
        most = 32 if x.stride(2) == 1 and not reduces_positions else 64  # vectors are split in registers
        return dict(BLOCK_O=_block(D_out, 64), BLOCK_I=_block(D_in, most), BLOCK_L=_block(length, 128), num_warps=8)
    if reduces_positions:
        return dict(BLOCK_O=_block(D_out, 64), BLOCK_I=_block(D_in, 32), BLOCK_L=_block(length, 32), num_warps=4)
    return dict(BLOCK_O=_block(D_out, 64), BLOCK_I=16, BLOCK_L=_block(length, 64), num_warps=4)


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
    for begin, end, seen in position_ranges(x, states, W, dilation):
        vec = vector_length(W, x) if seen is None else 1
        tile = _tile(x, D_out, D_in, end - begin)
        launch(
            full_conv1d_kernel,
            (B * triton.cdiv(D_out, tile["BLOCK_O"]) * triton.cdiv(end - begin, tile["BLOCK_L"]),),
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
            *strides_of(seen, 3),
            *strides_of(bias, 1),
            *strides_of(dy, 3),
            *y.stride(),
            dilation,
            dilation // vec,
            WIDTH=W,
            REVERSED=False,
            ACTIVATION=activation,
            **dilation_constants(dilation, vec),
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
    """Fill ``y`` (B, D_out, L), or (B, D_out / 2, L) if gated, from ``x`` (B, D_in, L)."""
    _launch(x, states, _packed(weight, 2, 0, 1), bias, None, y, dilation, activation, y.shape[1])


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
    """Return gradients of the pre-activation, (B, D_out, L), of the weight and of the bias.

    Those of weight and bias are None unless ``needs_weight``.
    """
    (B, D_in, L), (D_out, _, W) = x.shape, weight.shape
    dpre = dy
    if activation is not None:
        dpre = empty_like(dy) if activation == "silu" else empty_doubled(dy)
        _launch(x, states, _packed(weight, 2, 0, 1), bias, dy, dpre, dilation, activation, dy.shape[1])
    if not needs_weight:
        return dpre, None, None
    wider = torch.float64 if x.dtype == torch.float64 else torch.float32
    dw = torch.zeros((W, D_out, D_in), dtype=wider, device=x.device)
    db = torch.zeros(D_out, dtype=wider, device=x.device)
    for begin, end, seen in position_ranges(x, states, W, dilation):
        vec = vector_length(W, x) if seen is None else 1
        tile = _tile(x, D_out, D_in, end - begin, reduces_positions=True)
        blocks = B * triton.cdiv(end - begin, tile["BLOCK_L"])
        products = W * triton.cdiv(D_out, tile["BLOCK_O"]) * triton.cdiv(D_in, tile["BLOCK_I"])
        steps = triton.cdiv(blocks, max(1, TARGET_PROGRAMS // products))
        splits = triton.cdiv(blocks, max(1, steps))
        dw_partial = empty((splits, W, D_out, D_in), wider, x.device)
        db_partial = empty((splits, D_out), wider, x.device)
        launch(
            full_conv1d_backward_weight_kernel,
            (products * splits,),
            x,
            seen,
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
            *x.stride(),
            *strides_of(seen, 3),
            *dpre.stride(),
            dilation,
            dilation // vec,
            WIDTH=W,
            **dilation_constants(dilation, vec),
            **_arithmetic(x),
            **tile,
        )
        dw += dw_partial.sum(0)
        db += db_partial.sum(0)
    return dpre, dw.permute(1, 2, 0).to(weight.dtype), db.to(weight.dtype)


def backward_input(dpre: Tensor, weight: Tensor, dx: Tensor, dilation: int, origin: int = 0) -> None:
    """Fill ``dx`` (B, D_in, M) with the gradients of inputs ``origin`` to ``origin + M - 1``.

    Args:
        dpre: (B, D_out, L), gradients of the pre-activations.
        weight: (D_out, D_in, W).
        dx: (B, D_in, M), the result.
        dilation: at least 1.
        origin: position of the first input; negative for initial states.
    """
    (B, D_out, L), (_, D_in, M), W = dpre.shape, dx.shape, weight.shape[2]
    vec = vector_length(W, dpre) if origin == 0 else 1
    tile = _tile(dpre, D_in, D_out, M)
    launch(
        full_conv1d_kernel,
        (B * triton.cdiv(D_in, tile["BLOCK_O"]) * triton.cdiv(M, tile["BLOCK_L"]),),
        dpre,
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
        *dpre.stride(),
        *strides_of(None, 3),
        *strides_of(None, 1),
        *strides_of(None, 3),
        *dx.stride(),
        dilation,
        dilation // vec,
        WIDTH=W,
        REVERSED=True,
        ACTIVATION=None,
        **dilation_constants(dilation, vec),
        **_arithmetic(dpre),
        **tile,
    )

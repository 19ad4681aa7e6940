"""Dilated causal convolution, depthwise or full, of any width, with its activation or WaveNet's gate fused.

    y[t] = act(bias + sum_k weight[..., k] x[t - (W - 1 - k) dilation])

Depthwise as in Mamba's short convolutions, with the argument names and states of Dao-AILab's ``causal_conv1d``;
full as in van den Oord et al., *WaveNet* (2016), equation 2. The launchers are in ``conv.depthwise`` and
``conv.full``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arbench.kernels.conv import depthwise, full
from arbench.kernels.core.calls import as_given, once_differentiable
from arbench.kernels.core.launch import empty, empty_like
from arbench.kernels.core.spec import (
    CONVOLUTIONS,
    Config,
    Cost,
    Inputs,
    Kernel,
    Op,
    choose,
    floating,
    integer,
    normal,
)

ACTIVATIONS = (None, "silu", "gated")
LAYOUTS = ("BDL", "BLD")


@as_given
def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    activation: str | None = None,
    initial_states: Tensor | None = None,
    return_final_states: bool = False,
    layout: str = "BDL",
    backend: str | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Return y[t] = act(bias + sum_k weight[..., k] x[t - (W - 1 - k) dilation]).

    Args:
        x: (B, D, L), or (B, L, D) with ``layout="BLD"``; of any strides, without a copy. Tensors contiguous
            along L or D are read 128 bits at a time.
        weight: depthwise (D, W), or full (D_out, D, W). If gated, there are twice as many output channels as y
            has: depthwise (2 D, W), the filters of all channels before the gates of all channels.
        bias: (output channels,); None for zeros.
        dilation: at least 1; it may exceed L.
        activation: None; "silu", z sigmoid(z); or "gated", tanh(first half) sigmoid(second half) of the
            output channels.
        initial_states: (B, D, (W - 1) dilation) in either layout, the inputs before position 0, oldest first;
            None for zeros.
        return_final_states: also return the last (W - 1) dilation inputs, initial states included if L is
            shorter; they are the ``initial_states`` of a continuation.
        layout: "BDL" or "BLD", the axes of x and y.
        backend: "eager" or "triton"; by default Triton for a tensor on a GPU.

    Returns:
        y, in x's layout, with D (depthwise), D_out (full) or D_out / 2 (full and gated) channels; and
        final states (B, D, (W - 1) dilation) if requested. Both are differentiable once; a derivative of second
        order raises RuntimeError, except on the eager backend, which has it. The backward pass keeps only the
        arguments and recomputes the pre-activation.

    Raises:
        ValueError: shapes do not match, the layout or activation is unknown, the dilation or width is 0, the
            number of channels to gate is odd, or positions exceed 32 bits.
        TypeError: tensors are not floating-point or have different dtypes, or the dilation is not an integer.
    """
    dilation = _check(x, weight, bias, dilation, activation, initial_states, layout)
    if layout == "BLD":
        x = x.transpose(1, 2)
    if choose("causal_conv1d", backend, x) == "eager":
        y, *final = _eager(x, weight, bias, dilation, activation, initial_states, return_final_states)
    else:
        y, *final = _CausalConv1d.apply(
            x, weight, bias, initial_states, dilation, activation, return_final_states, layout
        )
    if layout == "BLD":
        y = y.transpose(1, 2)
    return (y, final[0]) if return_final_states else y


def _check(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    activation: str | None,
    states: Tensor | None,
    layout: str,
) -> int:
    """Check the arguments of ``causal_conv1d`` and return the dilation as an int."""
    name = "causal_conv1d"
    floating(name, x=x, weight=weight, bias=bias, initial_states=states)
    if layout not in LAYOUTS:
        raise ValueError(f"{name}: unknown layout '{layout}'; available: {', '.join(LAYOUTS)}")
    if x.dim() != 3:
        named = "(B, D, L)" if layout == "BDL" else "(B, L, D)"
        raise ValueError(f"{name}: x must be {named}, not of shape {tuple(x.shape)}")
    D, L = (x.shape[1], x.shape[2]) if layout == "BDL" else (x.shape[2], x.shape[1])
    dilation = check_filter(name, D, weight, bias, dilation, activation)
    reach = (weight.shape[-1] - 1) * dilation
    if states is not None and states.shape != (x.shape[0], D, reach):
        raise ValueError(
            f"{name}: initial_states must be (B, D, (W - 1) dilation) = {(x.shape[0], D, reach)}, "
            f"not of shape {tuple(states.shape)}"
        )
    if L + reach + dilation >= 2**31 - 2**16:
        raise ValueError(f"{name}: {L} positions plus a reach of {reach} exceed 32 bits; split x or lower the dilation")
    return dilation


def check_filter(name: str, D: int, weight: Tensor, bias: Tensor | None, dilation: int, activation: str | None) -> int:
    """Check a filter for inputs of D channels, and return the dilation as an int. Raises ValueError or TypeError."""
    dilation = integer(name, "dilation", dilation)
    if dilation < 1:
        raise ValueError(f"{name}: dilation must be at least 1, not {dilation}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"{name}: unknown activation '{activation}'; available: None, silu, gated")
    if D == 0:
        raise ValueError(f"{name}: x has no channels; it needs at least one")
    shape = tuple(weight.shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"{name}: weight must be (D, W) or (D_out, D, W), not of shape {shape}")
    if 0 in shape:
        raise ValueError(f"{name}: weight of shape {shape} is empty; every axis needs at least one element")
    halves = 2 if activation == "gated" else 1
    if len(shape) == 2 and shape[0] != halves * D:
        named = "(2 D, W) if gated" if halves == 2 else "(D, W)"
        raise ValueError(f"{name}: x has D = {D} channels; weight must be {named}, not of shape {shape}")
    if len(shape) == 3 and shape[1] != D:
        raise ValueError(f"{name}: x has D = {D} channels; weight must be (D_out, D, W), not of shape {shape}")
    if shape[0] % halves:
        raise ValueError(f"{name}: a gate needs an even number of output channels, not {shape[0]}")
    if bias is not None and bias.shape != shape[:1]:
        raise ValueError(f"{name}: bias must be {shape[:1]}, not of shape {tuple(bias.shape)}")
    return dilation


def activate(pre: Tensor, activation: str | None, dim: int) -> Tensor:
    """Apply the activation to pre-activations with channels along ``dim``."""
    if activation == "silu":
        return F.silu(pre)
    if activation == "gated":
        first, second = pre.chunk(2, dim)
        return first.tanh() * second.sigmoid()
    return pre


def _eager(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    activation: str | None,
    states: Tensor | None,
    return_final_states: bool,
) -> tuple[Tensor, ...]:
    """Return y, and final states if requested."""
    reach = (weight.shape[-1] - 1) * dilation
    padded = F.pad(x, (reach, 0)) if states is None else torch.cat([states, x], -1)
    final = (padded[..., padded.shape[-1] - reach :].clone(),) if return_final_states else ()
    if x.shape[2] == 0:
        return x.new_zeros(x.shape[0], weight.shape[0] // (2 if activation == "gated" else 1), 0), *final
    if weight.dim() == 3:
        return activate(F.conv1d(padded, weight, bias, dilation=dilation), activation, 1), *final
    D = x.shape[1]
    pre = torch.cat(
        [
            F.conv1d(
                padded,
                weight[i : i + D, None],
                None if bias is None else bias[i : i + D],
                dilation=dilation,
                groups=D,
            )
            for i in range(0, weight.shape[0], D)
        ],
        1,
    )
    return activate(pre, activation, 1), *final


class _CausalConv1d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        states: Tensor | None,
        dilation: int,
        activation: str | None,
        return_final_states: bool,
        layout: str,
    ) -> Any:
        (B, D, L), W = x.shape, weight.shape[-1]
        channels = weight.shape[0] // (2 if activation == "gated" else 1)
        if layout == "BDL":
            y = empty((B, channels, L), x.dtype, x.device)
        else:
            y = empty((B, L, channels), x.dtype, x.device).transpose(1, 2)
        conv = depthwise if weight.dim() == 2 else full
        conv.forward(x, states, weight, bias, y, dilation, activation)
        final = None
        if return_final_states:
            reach = (W - 1) * dilation
            final = empty((B, D, reach), x.dtype, x.device)
            kept = max(reach - L, 0)  # initial states among the last inputs
            final[..., kept:] = x[..., L - (reach - kept) :]
            final[..., :kept] = 0 if states is None else states[..., reach - kept :]
        ctx.save_for_backward(x, weight, bias, states)
        ctx.dilation, ctx.activation, ctx.name = dilation, activation, "causal_conv1d"
        ctx.set_materialize_grads(False)
        return y, final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, dfinal: Tensor | None) -> Any:
        x, weight, bias, states = ctx.saved_tensors
        L, reach = x.shape[2], (weight.shape[-1] - 1) * ctx.dilation
        needs_x, needs_weight, needs_bias, needs_states = ctx.needs_input_grad[:4]
        conv = depthwise if weight.dim() == 2 else full
        dx = dw = db = dstates = None
        if dy is not None:
            g, dw, db = conv.backward_weight(
                x, states, weight, bias, dy, ctx.dilation, ctx.activation, needs_weight or needs_bias
            )
        if needs_x:
            dx = empty_like(x)
            if dy is None:
                dx.zero_()
            else:
                conv.backward_input(g, weight, dx, ctx.dilation)
        if needs_states:
            dstates = empty_like(states)
            if dy is None:
                dstates.zero_()
            else:
                conv.backward_input(g, weight, dstates, ctx.dilation, origin=-reach)
        if dfinal is not None:
            kept = max(reach - L, 0)
            if dx is not None:
                dx[..., L - (reach - kept) :] += dfinal[..., kept:]
            if dstates is not None:
                dstates[..., reach - kept :] += dfinal[..., :kept]
        return (
            dx,
            dw if needs_weight else None,
            db if needs_bias else None,
            dstates,
            None,
            None,
            None,
            None,
        )


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    batch: int,
    channels: int,
    length: int,
    width: int,
    out: int | None = None,
    dilation: int = 1,
    activation: str | None = None,
    layout: str = "BDL",
    states: bool = False,
    bias: bool = True,
) -> Inputs:
    """Return random arguments.

    ``out`` is the number of rows of a full weight, twice the output channels if gated; None for a depthwise one.
    """

    def made(*shape: int, scale: float = 1.0) -> Tensor:
        return normal(shape, dtype, device, generator) * scale

    fan = width * (1 if out is None else channels)
    rows = out or channels * (2 if activation == "gated" else 1)
    x = (batch, channels, length) if layout == "BDL" else (batch, length, channels)
    return {
        "x": made(*x),
        "weight": made(rows, width, scale=fan**-0.5) if out is None else made(rows, channels, width, scale=fan**-0.5),
        "bias": made(rows) if bias else None,
        "dilation": dilation,
        "activation": activation,
        "initial_states": made(batch, channels, (width - 1) * dilation) if states else None,
        "return_final_states": states,
        "layout": layout,
    }


def _cost(op: Op, inputs: Inputs) -> Cost:
    x, weight, bias, states = (inputs[k] for k in ("x", "weight", "bias", "initial_states"))
    channels = x.shape[1 if inputs["layout"] == "BDL" else 2]
    positions = x.numel() // channels
    pre = positions * weight.shape[0]
    y = pre // 2 if inputs["activation"] == "gated" else pre
    small = weight.numel() + sum(t.numel() for t in (bias, states) if t is not None)
    multiplied = 2 * positions * weight.numel()
    if op == "forward":
        if inputs["return_final_states"]:
            small += x.shape[0] * channels * (weight.shape[-1] - 1) * inputs["dilation"]
        extra = {None: 0, "silu": 4 * y, "gated": 7 * y}[inputs["activation"]]
        return Cost((x.numel() + y + small) * x.itemsize, multiplied + extra)
    recomputed = 0 if inputs["activation"] is None else 1
    extra = {None: 0, "silu": 7 * y, "gated": 13 * y}[inputs["activation"]]
    return Cost((2 * x.numel() + y + 2 * small) * x.itemsize, (2 + recomputed) * multiplied + extra)


def _dims(config: Config) -> tuple[int, int]:
    return config["batch"], config["length"]


def _vectorised(program: str, config: Config) -> bool:
    """Return whether a program loads 128 bits at a time.

    Positions that reach initial states have a narrower launch of the same name. With many sums per thread (a gate,
    or more than 8 taps) the weight gradient loads 64 bits on AMD GPUs, which have twice as many threads.
    """
    many = config.get("activation") == "gated" or config["width"] > 8
    return not config.get("states") and not (program == "depthwise_conv1d_backward_weight_kernel" and many)


_DEPTHWISE: dict[str, Any] = dict(batch=8, channels=1024, length=2048)
_FULL: dict[str, Any] = dict(batch=2, channels=64, length=4096)
_SMALL: dict[str, Any] = dict(batch=2, channels=5, length=37)
CAUSAL_CONV1D = Kernel(
    name="causal_conv1d",
    summary="dilated causal convolution, depthwise or full, its activation or gate fused",
    call=causal_conv1d,
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = (B L (D + D_y) + weights) s, FLOPs = 2 B L |weight| + 4 |y| for silu, 7 |y| for gated",
        "backward": "bytes = (B L (2 D + D_y) + 2 weights) s, FLOPs = 4 B L |weight|; with "
        "silu 6 B L |weight| + 7 |y|, with gated 6 B L |weight| + 13 |y|",
    },
    matrix=[
        dict(**_DEPTHWISE, width=4, layout="BDL", activation="silu"),
        dict(**_DEPTHWISE, width=3, layout="BLD", dilation=64, activation="gated"),
        dict(**_DEPTHWISE, width=8, layout="BDL", dilation=9, states=True),
        dict(**_DEPTHWISE, width=12, layout="BLD", activation="silu", bias=False),
        dict(**_FULL, out=128, width=2, layout="BDL", dilation=2, activation="gated"),
        dict(**_FULL, out=96, width=12, layout="BLD", dilation=16, activation="silu", states=True),
    ],
    checks=[
        dict(**_SMALL, width=4, layout="BDL", dilation=3, activation="silu", states=True),
        dict(**_SMALL, width=3, layout="BLD", dilation=3, activation="gated", states=True),
        dict(**_SMALL, width=2, layout="BDL", bias=False),
        dict(**_SMALL, out=6, width=3, layout="BDL", dilation=3, activation="gated", states=True),
        dict(**_SMALL, out=3, width=2, layout="BLD", dilation=2, activation="silu"),
    ],
    sizes={
        "cpu": [
            dict(batch=8, channels=256, length=2048, width=4, layout="BDL", activation="silu"),
            dict(batch=1, channels=64, out=128, length=16384, width=2, layout="BDL", dilation=16, activation="gated"),
        ],
        "cuda": [
            dict(batch=8, channels=4096, length=4096, width=4, layout="BLD", activation="silu"),
            dict(batch=8, channels=4096, length=4096, width=4, layout="BDL", activation="silu"),
            dict(batch=8, channels=4096, length=4096, width=4, layout="BLD", dilation=64, activation="silu"),
            dict(batch=8, channels=4096, length=4096, width=4, layout="BDL", dilation=64, activation="silu"),
            dict(batch=1, channels=64, out=128, length=16384, width=2, layout="BDL", dilation=16, activation="gated"),
            dict(batch=8, channels=128, out=256, length=16384, width=3, layout="BDL", dilation=4, activation="gated"),
        ],
    },
    dims=_dims,
    element="position",
    gradients=("x", "weight", "bias", "initial_states"),
    tolerance=CONVOLUTIONS,
    gradient_tolerance={**CONVOLUTIONS, torch.float32: (1e-3, 1e-3)},
    vectorised=_vectorised,
)

"""Softmax and log-softmax along one axis, for rows 1 to 262,144 wide and of any strides.

Rows of up to ``SINGLE_PASS_WIDTH`` elements stay in registers: read once, written once. Wider rows are read
twice, the second time from the end, which is still in cache. The first pass keeps a maximum and a sum of
exponentials per lane and rescales the sum as the maximum grows (Milakov and Gimelshein, *Online normalizer
calculation for softmax*, 2018).
Half precision is computed in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from arbench.kernels.core.calls import as_given, once_differentiable
from arbench.kernels.core.launch import empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, rows_of
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, floating, normal
from arbench.kernels.logits.softmax_programs import (
    softmax_backward_single_pass_kernel,
    softmax_backward_two_pass_kernel,
    softmax_single_pass_kernel,
    softmax_two_pass_kernel,
)

SINGLE_PASS_WIDTH = 32768
"""Widest row that a program keeps in registers."""
TWO_PASS_BLOCK = 8192
"""Elements of a wider row that a program loads at a time."""


def _tile(width: int) -> dict[str, int]:
    """Return the rows of a program and its warps: at least 1,024 elements, and a warp for every 512."""
    block = triton.next_power_of_2(width)
    return dict(BLOCK_ROWS=max(1, 1024 // block), BLOCK_WIDTH=block, num_warps=min(max(block // 512, 1), 32))


def _forward(name: str, x: Tensor, log: bool) -> Tensor:
    """Return the softmax of ``x`` along the last axis, or its logarithm."""
    y = empty_like(x)
    width = x.shape[-1]
    found = rows_of(name, x[..., 0], y[..., 0])
    x_strides, y_strides = found.strides
    strides = (*x_strides, x.stride(-1), *y_strides, y.stride(-1))
    if width > SINGLE_PASS_WIDTH:
        launch(
            softmax_two_pass_kernel,
            (found.count,),
            x,
            y,
            width,
            *found.inner,
            *strides,
            LOG=log,
            BLOCK_WIDTH=TWO_PASS_BLOCK,
            num_warps=16,
        )
        return y
    tile = _tile(width)
    launch(
        softmax_single_pass_kernel,
        (triton.cdiv(found.count, tile["BLOCK_ROWS"]),),
        x,
        y,
        found.count,
        width,
        *found.inner,
        *strides,
        LOG=log,
        **tile,
    )
    return y


def _backward(name: str, y: Tensor, dy: Tensor, log: bool) -> Tensor:
    """Return dx = y (dy - sum y dy), or dx = dy - exp(y) sum dy for log-softmax."""
    dx = empty_like(y)
    width = y.shape[-1]
    if dy.dim() - 1 > MOST_AXES and dy.stride() != dx.stride():
        dy = empty_like(y).copy_(dy)
    found = rows_of(name, y[..., 0], dy[..., 0], dx[..., 0])
    y_strides, dy_strides, dx_strides = found.strides
    strides = (*y_strides, y.stride(-1), *dy_strides, dy.stride(-1), *dx_strides, dx.stride(-1))
    if width > SINGLE_PASS_WIDTH // 2:
        launch(
            softmax_backward_two_pass_kernel,
            (found.count,),
            y,
            dy,
            dx,
            width,
            *found.inner,
            *strides,
            LOG=log,
            BLOCK_WIDTH=TWO_PASS_BLOCK,
            num_warps=16,
        )
        return dx
    tile = _tile(width)
    launch(
        softmax_backward_single_pass_kernel,
        (triton.cdiv(found.count, tile["BLOCK_ROWS"]),),
        y,
        dy,
        dx,
        found.count,
        width,
        *found.inner,
        *strides,
        LOG=log,
        **tile,
    )
    return dx


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, log: bool, name: str) -> Tensor:
        y = _forward(name, x, log)
        ctx.save_for_backward(y)
        ctx.log, ctx.name = log, name
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return _backward(ctx.name, y, dy, ctx.log), None, None


def _call(name: str, x: Tensor, dim: int, backend: str | None, log: bool) -> Tensor:
    floating(name, x=x)
    if x.dim() == 0:
        raise ValueError(f"{name}: x is a scalar; it needs at least one axis")
    if not -x.dim() <= dim < x.dim():
        raise ValueError(f"{name}: dim {dim} is out of range for x with {x.dim()} axes")
    if x.shape[dim] == 0:
        raise ValueError(f"{name}: x of shape {tuple(x.shape)} is empty along dim {dim}; it needs at least one element")
    if choose(name, backend, x) == "eager":
        return x.log_softmax(dim) if log else x.softmax(dim)
    return _Softmax.apply(x.movedim(dim, -1), log, name).movedim(-1, dim)


@as_given
def softmax(x: Tensor, dim: int = -1, *, backend: str | None = None) -> Tensor:
    """Return exp(x_i) / sum_j exp(x_j) along one axis.

    Args:
        x: tensor of any shape and strides; float64, float32, float16 or bfloat16.
        dim: the axis.
        backend: "eager" or "triton"; by default Triton for a tensor on a GPU.

    Returns:
        Tensor like ``x``. A row of -inf alone gives NaN, as with ``torch.softmax``. Differentiable once; a
        derivative of second order raises RuntimeError, except on the eager backend. With more than three other
        axes, an incoming gradient with axes in another order is copied.

    Raises:
        ValueError: ``dim`` is out of range or empty, or more than three other axes do not merge.
        TypeError: ``x`` is not floating-point.
    """
    return _call("softmax", x, dim, backend, log=False)


@as_given
def log_softmax(x: Tensor, dim: int = -1, *, backend: str | None = None) -> Tensor:
    """Return x_i - log sum_j exp(x_j) along one axis; arguments and errors are those of ``softmax``."""
    return _call("log_softmax", x, dim, backend, log=True)


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    width: int,
    dim: int = -1,
) -> Inputs:
    shape = (rows, width) if dim == -1 else (width, rows)
    return {"x": normal(shape, dtype, device, generator), "dim": dim}


def _cost(op: Op, inputs: Inputs) -> Cost:
    x = inputs["x"]
    passes = 2 if op == "forward" else 3
    return Cost(passes * x.nbytes, 4 * x.numel())


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], config["width"]


_SPEC: dict[str, Any] = dict(
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = 2 R W s, FLOPs = 4 R W",
        "backward": "bytes = 3 R W s, FLOPs = 4 R W",
    },
    checks=[dict(rows=3, width=129), dict(rows=5, width=16, dim=0)],
    dims=_dims,
    element="logit",
    gradients=("x",),
    vectorised=lambda program, config: config["dim"] == -1 and config["width"] % 256 == 0,
)
SOFTMAX = Kernel(
    name="softmax",
    summary="softmax along an axis",
    call=softmax,
    matrix=[
        *(dict(rows=4096, width=w, dim=-1) for w in (16, 256, 1000, 1024, 32768, 262144)),
        dict(rows=4096, width=256, dim=0),
    ],
    sizes={
        "cpu": [dict(rows=16000, width=256), dict(rows=512, width=8192)],
        "cuda": [dict(rows=2**28 // w, width=w) for w in (256, 1024, 4096, 32768, 262144)],
    },
    **_SPEC,
)
LOG_SOFTMAX = Kernel(
    name="log_softmax",
    summary="log-softmax along an axis",
    call=log_softmax,
    matrix=[dict(rows=4096, width=w, dim=-1) for w in (256, 32768, 262144)],
    sizes={
        "cpu": [dict(rows=16000, width=256), dict(rows=512, width=8192)],
        "cuda": [dict(rows=2**16, width=4096)],
    },
    **_SPEC,
)

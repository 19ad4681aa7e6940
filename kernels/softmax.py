"""Softmax and log-softmax along one axis, of rows from 1 to 262,144 wide and of any strides.

Up to ``HELD`` elements a row stays in registers: read once, written once. A wider one is read twice, the
second time from its end, where caches still hold it; maximum and sum of the first reading are kept for each
lane and rescaled as the maximum grows (Milakov and Gimelshein, *Online normalizer calculation for softmax*,
2018).
Half precision is computed in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from arbench.kernels.core.launch import empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, row_offset, rows_of, widen
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, floating, normal

HELD = 32768
"""Widest row that one program holds."""
LOOPED = 8192
"""Elements of a wider row that a program takes at a time."""


@triton.jit
def softmax_held(
    x,
    y,
    rows,
    width,
    n1,
    n2,
    xs0,
    xs1,
    xs2,
    xw,
    ys0,
    ys1,
    ys2,
    yw,
    LOG: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    o = tl.arange(0, BLOCK)
    mask = (row < rows)[:, None] & (o < width)[None, :]  # (ROWS, BLOCK)
    o = o.to(tl.int64)[None, :]
    p_x = x + row_offset(row, n1, n2, xs0, xs1, xs2)[:, None] + o * xw
    b_x = widen(tl.load(p_x, mask=mask, other=float("-inf")))
    shifted = b_x - tl.max(b_x, 1)[:, None]
    e = tl.exp(shifted)
    total = tl.sum(e, 1)[:, None]
    b_y = shifted - tl.log(total) if LOG else e / total
    p_y = y + row_offset(row, n1, n2, ys0, ys1, ys2)[:, None] + o * yw
    tl.store(p_y, b_y.to(y.dtype.element_ty), mask=mask)


@triton.jit
def softmax_looped(x, y, width, n1, n2, xs0, xs1, xs2, xw, ys0, ys1, ys2, yw, LOG: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    x += row_offset(row, n1, n2, xs0, xs1, xs2)
    y += row_offset(row, n1, n2, ys0, ys1, ys2)
    top = widen(tl.load(x + lane.to(tl.int64) * xw))  # (BLOCK,): width is above BLOCK
    total = top * 0 + 1
    total = tl.where(top == float("-inf"), 0.0, total)  # of a lane whose maximum is -inf so far
    for start in range(BLOCK, width, BLOCK):
        o = start + lane
        b_x = widen(tl.load(x + o.to(tl.int64) * xw, mask=o < width, other=float("-inf")))
        higher = tl.maximum(top, b_x, propagate_nan=tl.PropagateNan.ALL)
        nothing = higher == float("-inf")
        kept = tl.where(nothing, 0.0, total * tl.exp(top - higher))
        total = kept + tl.where(nothing, 0.0, tl.exp(b_x - higher))
        top = higher
    highest = tl.max(top, 0)
    whole = tl.sum(total * tl.exp(top - highest), 0)
    blocks = tl.cdiv(width, BLOCK)
    for i in range(blocks):
        o = (blocks - 1 - i) * BLOCK + lane
        b_x = widen(tl.load(x + o.to(tl.int64) * xw, mask=o < width, other=float("-inf")))
        shifted = b_x - highest
        b_y = shifted - tl.log(whole) if LOG else tl.exp(shifted) / whole
        tl.store(y + o.to(tl.int64) * yw, b_y.to(y.dtype.element_ty), mask=o < width)


@triton.jit
def softmax_backward_held(
    y,
    dy,
    dx,
    rows,
    width,
    n1,
    n2,
    ys0,
    ys1,
    ys2,
    yw,
    gs0,
    gs1,
    gs2,
    gw,
    ds0,
    ds1,
    ds2,
    dw,
    LOG: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    o = tl.arange(0, BLOCK)
    mask = (row < rows)[:, None] & (o < width)[None, :]  # (ROWS, BLOCK)
    o = o.to(tl.int64)[None, :]
    b_g = widen(tl.load(dy + row_offset(row, n1, n2, gs0, gs1, gs2)[:, None] + o * gw, mask=mask, other=0.0))
    b_y = widen(tl.load(y + row_offset(row, n1, n2, ys0, ys1, ys2)[:, None] + o * yw, mask=mask, other=0.0))
    if LOG:
        b_d = b_g - tl.exp(b_y) * tl.sum(b_g, 1)[:, None]
    else:
        b_d = b_y * (b_g - tl.sum(b_y * b_g, 1)[:, None])
    p_d = dx + row_offset(row, n1, n2, ds0, ds1, ds2)[:, None] + o * dw
    tl.store(p_d, b_d.to(dx.dtype.element_ty), mask=mask)


@triton.jit
def softmax_backward_looped(
    y,
    dy,
    dx,
    width,
    n1,
    n2,
    ys0,
    ys1,
    ys2,
    yw,
    gs0,
    gs1,
    gs2,
    gw,
    ds0,
    ds1,
    ds2,
    dw,
    LOG: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    y += row_offset(row, n1, n2, ys0, ys1, ys2)
    dy += row_offset(row, n1, n2, gs0, gs1, gs2)
    dx += row_offset(row, n1, n2, ds0, ds1, ds2)
    b_g = widen(tl.load(dy + lane.to(tl.int64) * gw))  # (BLOCK,): width is above BLOCK
    sums = b_g if LOG else widen(tl.load(y + lane.to(tl.int64) * yw)) * b_g
    for start in range(BLOCK, width, BLOCK):
        o = start + lane
        b_g = widen(tl.load(dy + o.to(tl.int64) * gw, mask=o < width, other=0.0))
        if LOG:
            sums += b_g
        else:
            sums += widen(tl.load(y + o.to(tl.int64) * yw, mask=o < width, other=0.0)) * b_g
    total = tl.sum(sums, 0)
    blocks = tl.cdiv(width, BLOCK)
    for i in range(blocks):
        o = (blocks - 1 - i) * BLOCK + lane
        b_g = widen(tl.load(dy + o.to(tl.int64) * gw, mask=o < width, other=0.0))
        b_y = widen(tl.load(y + o.to(tl.int64) * yw, mask=o < width, other=0.0))
        b_d = b_g - tl.exp(b_y) * total if LOG else b_y * (b_g - total)
        tl.store(dx + o.to(tl.int64) * dw, b_d.to(dx.dtype.element_ty), mask=o < width)


def _tile(width: int) -> dict[str, int]:
    """Rows that one program holds, and its warps: a warp for 512 elements, and at least 1,024 elements."""
    block = triton.next_power_of_2(width)
    return dict(ROWS=max(1, 1024 // block), BLOCK=block, num_warps=min(max(block // 512, 1), 32))


def _forward(name: str, x: Tensor, log: bool) -> Tensor:
    """Softmax along the last axis."""
    y = empty_like(x)
    width, xw, yw = x.shape[-1], x.stride(-1), y.stride(-1)
    found = rows_of(name, x[..., 0], y[..., 0])
    (xs, ys), inner = found.strides, found.inner
    if width > HELD:
        launch(
            softmax_looped,
            (found.count,),
            x,
            y,
            width,
            *inner,
            *xs,
            xw,
            *ys,
            yw,
            LOG=log,
            BLOCK=LOOPED,
            num_warps=16,
        )
        return y
    tile = _tile(width)
    launch(
        softmax_held,
        (triton.cdiv(found.count, tile["ROWS"]),),
        x,
        y,
        found.count,
        width,
        *inner,
        *xs,
        xw,
        *ys,
        yw,
        LOG=log,
        **tile,
    )
    return y


def _backward(name: str, y: Tensor, dy: Tensor, log: bool) -> Tensor:
    """Softmax: dx = y (dy - sum y dy). Log-softmax: dx = dy - exp(y) sum dy."""
    dx = empty_like(y)
    width = y.shape[-1]
    if dy.dim() - 1 > MOST_AXES and dy.stride() != dx.stride():
        dy = empty_like(y).copy_(dy)
    found = rows_of(name, y[..., 0], dy[..., 0], dx[..., 0])
    ys, gs, ds = found.strides
    strides = (*ys, y.stride(-1), *gs, dy.stride(-1), *ds, dx.stride(-1))
    if width > HELD // 2:
        launch(
            softmax_backward_looped,
            (found.count,),
            y,
            dy,
            dx,
            width,
            *found.inner,
            *strides,
            LOG=log,
            BLOCK=LOOPED,
            num_warps=16,
        )
        return dx
    tile = _tile(width)
    launch(
        softmax_backward_held,
        (triton.cdiv(found.count, tile["ROWS"]),),
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
        raise ValueError(f"{name}: x needs an axis, and has none")
    if not -x.dim() <= dim < x.dim():
        raise ValueError(f"{name}: x has {x.dim()} axes, and none numbered {dim}")
    if x.shape[dim] == 0:
        raise ValueError(f"{name}: an empty alphabet: axis {dim} of shape {tuple(x.shape)}")
    if choose(name, backend, x) == "reference":
        return x.log_softmax(dim) if log else x.softmax(dim)
    return _Softmax.apply(x.movedim(dim, -1), log, name).movedim(-1, dim)


def softmax(x: Tensor, dim: int = -1, *, backend: str | None = None) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along one axis.

    Args:
        x: of any shape and strides; float64, float32, float16 or bfloat16.
        dim: the axis.
        backend: "reference" or "triton"; by the device without it.

    Returns:
        Like ``x``. A row of -inf alone gives NaN, as ``torch.softmax`` does. Differentiable once; of more
        than three other axes, an incoming gradient in another order is copied.

    Raises:
        ValueError: no such axis, an empty one, or more than three other axes that strides do not merge.
        TypeError: not floating-point.
    """
    return _call("softmax", x, dim, backend, log=False)


def log_softmax(x: Tensor, dim: int = -1, *, backend: str | None = None) -> Tensor:
    """x_i - log sum_j exp(x_j) along one axis; arguments and errors as of ``softmax``."""
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

"""Log-probability of given classes under softmax(logits), from one reading of the logits.

log softmax(x)_i = (x_i - max x) - log sum_j exp(x_j - max x). Up to ``HELD`` classes a program holds whole
rows; beyond, each lane keeps a maximum and a sum of exponentials, rescaled as the maximum grows (Milakov and
Gimelshein, *Online normalizer calculation for softmax*, 2018). No probability is stored: the maximum and the
logarithm of the sum are kept, apart so that huge logits lose nothing, and the gradient is
dx_j = dy ([j = i] - softmax(x)_j): one read, one write.
Half precision is computed in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, row_offset, rows_of, widen
from arbench.kernels.core.spec import (
    Config,
    Cost,
    Inputs,
    Kernel,
    Op,
    choose,
    floating,
    integer,
    normal,
    same_device,
)

HELD = 8192
"""Widest row that one program holds."""
WARPS = 8
"""Of a program for a wider row. It takes 16 logits a thread at a time, in tiles of 16 bytes a thread."""
NAME = "log_prob_from_logits"
BACKENDS = ("reference", "triton", "numba")


@triton.jit
def picked(p_x, xw, i, live, top, log_total, ignored, IGNORES: tl.constexpr, width):
    """Log-probability of class ``i`` of rows that begin at ``p_x``; NaN where there is no such class."""
    known = live & (i >= 0) & (i < width)
    b_y = widen(tl.load(p_x + i * xw, mask=known, other=float("nan"))) - top - log_total
    if IGNORES:
        b_y = tl.where(i == ignored, 0.0, b_y)
    return b_y


@triton.jit
def log_prob_held(
    x,
    index,
    y,
    tops,
    log_totals,
    ignored,
    rows,
    width,
    n1,
    n2,
    xs0,
    xs1,
    xs2,
    xw,
    is0,
    is1,
    is2,
    IGNORES: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    live = row < rows
    o = tl.arange(0, BLOCK)
    i = tl.load(index + row_offset(row, n1, n2, is0, is1, is2), mask=live, other=0)
    p_x = x + row_offset(row, n1, n2, xs0, xs1, xs2)  # (ROWS,)
    mask = live[:, None] & (o < width)[None, :]  # (ROWS, BLOCK)
    b_x = tl.load(p_x[:, None] + o.to(tl.int64)[None, :] * xw, mask=mask, other=float("-inf"))
    b_x = widen(b_x)
    top = tl.max(b_x, 1)
    log_total = tl.log(tl.sum(tl.exp(b_x - top[:, None]), 1))
    tl.store(y + row, picked(p_x, xw, i, live, top, log_total, ignored, IGNORES, width), mask=live)
    tl.store(tops + row, top, mask=live)
    tl.store(log_totals + row, log_total, mask=live)


@triton.jit
def log_prob_looped(
    x,
    index,
    y,
    tops,
    log_totals,
    ignored,
    width,
    n1,
    n2,
    xs0,
    xs1,
    xs2,
    xw,
    is0,
    is1,
    is2,
    IGNORES: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    i = tl.load(index + row_offset(row, n1, n2, is0, is1, is2))
    x += row_offset(row, n1, n2, xs0, xs1, xs2)
    lane = tl.arange(0, TILES)[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]  # (TILES, BLOCK)
    lane_top = tl.full((BLOCK,), float("-inf"), y.dtype.element_ty)
    total = tl.zeros_like(lane_top)
    for start in range(0, width, TILES * BLOCK):
        o = start + lane
        b_x = widen(tl.load(x + o.to(tl.int64) * xw, mask=o < width, other=float("-inf")))
        higher = tl.maximum(lane_top, tl.max(b_x, 0))
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp(lane_top - safe) + tl.sum(tl.exp(b_x - safe[None, :]), 0)
        lane_top = higher
    top = tl.max(lane_top, 0)
    safe = tl.where(top == float("-inf"), 0.0, top)
    log_total = tl.log(tl.sum(total * tl.exp(lane_top - safe), 0))
    tl.store(y + row, picked(x, xw, i, i == i, top, log_total, ignored, IGNORES, width))
    tl.store(tops + row, top)
    tl.store(log_totals + row, log_total)


@triton.jit
def log_prob_backward(
    x,
    index,
    dy,
    tops,
    log_totals,
    dx,
    ignored,
    rows,
    width,
    n1,
    n2,
    xs0,
    xs1,
    xs2,
    xw,
    is0,
    is1,
    is2,
    gs0,
    gs1,
    gs2,
    ds0,
    ds1,
    ds2,
    dw,
    IGNORES: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    parts = tl.cdiv(width, BLOCK)
    row = (tl.program_id(0) // parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    o = tl.program_id(0) % parts * BLOCK + tl.arange(0, BLOCK)
    live = row < rows
    i = tl.load(index + row_offset(row, n1, n2, is0, is1, is2), mask=live, other=0)
    b_g = tl.load(dy + row_offset(row, n1, n2, gs0, gs1, gs2), mask=live, other=0.0)
    top = tl.load(tops + row, mask=live, other=0.0)
    log_total = tl.load(log_totals + row, mask=live, other=0.0)
    known = (i >= 0) & (i < width)
    place = tl.where(known, i, -1).to(tl.int32)
    b_g = tl.where(known, b_g, float("nan"))
    mask = live[:, None] & (o < width)[None, :]  # (ROWS, BLOCK)
    p_x = x + row_offset(row, n1, n2, xs0, xs1, xs2)[:, None] + o.to(tl.int64)[None, :] * xw
    b_x = widen(tl.load(p_x, mask=mask, other=0.0))
    p = tl.exp(b_x - top[:, None] - log_total[:, None])
    b_d = b_g[:, None] * (tl.where(o[None, :] == place[:, None], 1.0, 0.0) - p)
    if IGNORES:
        b_d = tl.where((i == ignored)[:, None], 0.0, b_d)
    p_d = dx + row_offset(row, n1, n2, ds0, ds1, ds2)[:, None] + o.to(tl.int64)[None, :] * dw
    tl.store(p_d, b_d.to(dx.dtype.element_ty), mask=mask)


def _tile(width: int) -> dict[str, int]:
    """Rows that one program holds, and its warps: a warp for 512 elements, and at least 1,024 elements."""
    block = triton.next_power_of_2(width)
    return dict(ROWS=max(1, 1024 // block), BLOCK=block, num_warps=max(block // 512, 1))


def _computed(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _triton(x: Tensor, index: Tensor, ignored: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, maxima and logarithms of sums, (...) each."""
    width = x.shape[-1]
    y, tops, log_totals = (empty(index.shape, _computed(x), x.device) for _ in range(3))
    found = rows_of(NAME, x[..., 0], index)
    xs, ks = found.strides
    given = (x, index, y, tops, log_totals, ignored or 0)
    strides = (width, *found.inner, *xs, x.stride(-1), *ks)
    if width > HELD:
        launch(
            log_prob_looped,
            (found.count,),
            *given,
            *strides,
            IGNORES=ignored is not None,
            TILES=x.itemsize,
            BLOCK=WARPS * 512 // x.itemsize,
            num_warps=WARPS,
        )
        return y, tops, log_totals
    tile = _tile(width)
    grid = (triton.cdiv(found.count, tile["ROWS"]),)
    launch(log_prob_held, grid, *given, found.count, *strides, IGNORES=ignored is not None, **tile)
    return y, tops, log_totals


def _triton_backward(
    x: Tensor, index: Tensor, dy: Tensor, tops: Tensor, log_totals: Tensor, ignored: int | None
) -> Tensor:
    dx = empty_like(x)
    width = x.shape[-1]
    if dy.dim() > MOST_AXES:  # nobody chooses its strides; in order its axes merge as those of x do
        dy = dy.contiguous()
    found = rows_of(NAME, x[..., 0], index, dy, dx[..., 0])
    xs, ks, gs, ds = found.strides
    tile = _tile(min(width, 2048))
    launch(
        log_prob_backward,
        (triton.cdiv(found.count, tile["ROWS"]) * triton.cdiv(width, tile["BLOCK"]),),
        x,
        index,
        dy,
        tops,
        log_totals,
        dx,
        ignored or 0,
        found.count,
        width,
        *found.inner,
        *xs,
        x.stride(-1),
        *ks,
        *gs,
        *ds,
        dx.stride(-1),
        IGNORES=ignored is not None,
        **tile,
    )
    return dx


def _numba(x: Tensor, index: Tensor, ignored: int | None) -> tuple[Tensor, Tensor, Tensor]:
    from arbench.kernels.core import numba_rows as cpu

    width = x.shape[-1]
    y, tops, log_totals = (empty(index.shape, x.dtype, x.device) for _ in range(3))
    safe = index if ignored is None else index.masked_fill(index == ignored, 0)
    memory, starts = cpu.flat(x)
    outs = [out.view(-1).numpy() for out in (tops, log_totals, y)]
    cpu.over_rows(cpu.sums, len(starts), width, memory, width, starts, safe.flatten().numpy(), *outs)
    y -= log_totals.log_()
    if ignored is not None:
        y.masked_fill_(index == ignored, 0)
    return y, tops, log_totals


def _numba_backward(
    x: Tensor, index: Tensor, dy: Tensor, tops: Tensor, log_totals: Tensor, ignored: int | None
) -> Tensor:
    from arbench.kernels.core import numba_rows as cpu

    width = x.shape[-1]
    dx = empty(x.shape, x.dtype, x.device)
    live = torch.ones_like(index, dtype=torch.bool) if ignored is None else index != ignored
    memory, starts = cpu.flat(x)
    rows = [one.flatten().numpy() for one in (index, live, dy, tops, log_totals, dx)]
    cpu.over_rows(cpu.gradients, len(starts), width, memory, width, starts, *rows)
    return dx


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, ignored: int | None, backend: str) -> Tensor:
        y, tops, log_totals = (_triton if backend == "triton" else _numba)(x, index, ignored)
        ctx.save_for_backward(x, index, tops, log_totals)
        ctx.ignored, ctx.backend = ignored, backend
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, index, tops, log_totals = ctx.saved_tensors
        run = _triton_backward if ctx.backend == "triton" else _numba_backward
        return run(x, index, dy, tops, log_totals, ctx.ignored), None, None, None


def _reference(x: Tensor, index: Tensor, ignored: int | None) -> Tensor:
    x = x.to(_computed(x))
    if ignored is None:
        return x.log_softmax(-1).gather(-1, index[..., None]).squeeze(-1)
    skip = index == ignored
    x = x.masked_fill(skip[..., None], 0)
    return _reference(x, index.masked_fill(skip, 0), None).masked_fill(skip, 0)


def log_prob_from_logits(
    logits: Tensor, index: Tensor, *, ignore_index: int | None = None, backend: str | None = None
) -> Tensor:
    """log softmax(logits)[index] along the last axis: ``-cross_entropy`` of each position.

    Args:
        logits: (..., V), of any strides; float64, float32, float16 or bfloat16.
        index: (...), int64, from 0 to V - 1.
        ignore_index: positions whose index is this number, which may be any, have 0 and no gradient.
        backend: "reference", "triton" or "numba" (float32 and float64 on the CPU, a last axis without gaps,
            as many threads as ``torch.get_num_threads()``); by the device without it.

    Returns:
        (...), float64 for float64 and float32 otherwise: a log-probability in half precision would have two
        or three digits. A row with NaN or +inf, or of -inf alone, gives NaN. Differentiable once, in the
        logits.

    Raises:
        IndexError: an index out of range, on the CPU; Triton gives NaN there, and NaN gradients.
        ValueError: an empty alphabet; shapes or devices that do not fit; an ``ignore_index`` beyond 64 bits;
            more than three leading axes that strides do not merge (Triton); a last axis with gaps (Numba).
        TypeError: logits not floating-point, or half precision for Numba; index not int64; an
            ``ignore_index`` that is no integer.
    """
    floating(NAME, logits=logits)
    same_device(NAME, logits=logits, index=index)
    if logits.dim() == 0:
        raise ValueError(f"{NAME}: logits need an axis, and have none")
    if index.dtype != torch.int64:
        raise TypeError(f"{NAME}: index must be int64, not {index.dtype}")
    if index.shape != logits.shape[:-1]:
        raise ValueError(
            f"{NAME}: index is {tuple(index.shape)}, and logits {tuple(logits.shape)} need {tuple(logits.shape[:-1])}"
        )
    if ignore_index is not None:
        ignore_index = integer(NAME, "ignore_index", ignore_index)
        if not -(2**63) <= ignore_index < 2**63:
            raise ValueError(f"{NAME}: ignore_index {ignore_index} is beyond 64 bits")
    width = logits.shape[-1]
    if width == 0:
        raise ValueError(f"{NAME}: an empty alphabet: logits of shape {tuple(logits.shape)}")
    backend = choose(NAME, backend, logits, BACKENDS)
    if backend == "triton":
        return _LogProb.apply(logits, index, ignore_index, backend)
    if index.device.type == "cpu":
        _in_range(index, width, ignore_index)
    if backend == "reference":
        return _reference(logits, index, ignore_index)
    from arbench.kernels.core import numba_rows as cpu

    cpu.demand(NAME, logits=logits)
    return _LogProb.apply(logits, index, ignore_index, backend)


def _in_range(index: Tensor, width: int, ignored: int | None) -> None:
    known = (index >= 0) & (index < width)
    if ignored is not None:
        known |= index == ignored
    if not known.all():
        first = index[~known][0].item()
        raise IndexError(f"{NAME}: index {first} is out of range for {width} classes")


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    width: int,
    ignore_index: int | None = None,
) -> Inputs:
    logits = normal((rows, width), dtype, device, generator)
    if torch.device(device).type == "meta":
        index = torch.empty(rows, dtype=torch.int64, device=device)
    else:
        where = "cpu" if generator is None else generator.device
        index = torch.randint(width, (rows,), generator=generator, device=where).to(device)
    if ignore_index is not None:
        index[::2] = ignore_index
    return {"logits": logits, "index": index, "ignore_index": ignore_index}


def _cost(op: Op, inputs: Inputs) -> Cost:
    x = inputs["logits"]
    rows, s = inputs["index"].numel(), _computed(x).itemsize
    if op == "forward":
        return Cost(x.nbytes + rows * (8 + s), 3 * x.numel())
    return Cost(2 * x.nbytes + rows * (8 + s), 4 * x.numel())


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], config["width"]


LOG_PROB_FROM_LOGITS = Kernel(
    name=NAME,
    summary="log-probability of given classes, from one reading of the logits",
    call=log_prob_from_logits,
    inputs=_inputs,
    cost=_cost,
    formula={
        "forward": "bytes = R V s + 12 R, FLOPs = 3 R V",
        "backward": "bytes = 2 R V s + 12 R, FLOPs = 4 R V",
    },
    matrix=[
        *(dict(rows=4096, width=w) for w in (16, 256, 1000, 262144)),
        *(dict(rows=4096, width=w, ignore_index=-100) for w in (256, 8192)),
    ],
    checks=[
        dict(rows=3, width=129),
        dict(rows=5, width=16, ignore_index=-100),
    ],
    sizes={
        "cpu": [dict(rows=16000, width=256), dict(rows=512, width=8192)],
        "cuda": [dict(rows=2**28 // w, width=w) for w in (256, 4096, 32768, 262144)],
    },
    dims=_dims,
    element="logit",
    gradients=("logits",),
    backends=BACKENDS,
    vectorised=lambda program, config: config["width"] % 256 == 0,
)
"""See ``log_prob_from_logits``."""

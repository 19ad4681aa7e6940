"""Log-probability of given classes under softmax(logits), from one reading of the logits.

log softmax(x)_i = (x_i - max x) - log sum_j exp(x_j - max x). Rows of up to ``SINGLE_BLOCK_WIDTH`` classes stay
in registers. For wider rows each lane keeps a maximum and a sum of exponentials, rescaled as the maximum grows
(Milakov and Gimelshein, *Online normalizer calculation for softmax*, 2018). No probability is stored, only the
maximum and the logarithm of the sum; kept apart, they lose nothing when logits are huge. The gradient is
dx_j = dy ([j = i] - softmax(x)_j): one read, one write.
Half precision is computed in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from arbench.backends import BACKENDS
from arbench.kernels.core.calls import as_given, once_differentiable
from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.rows import MOST_AXES, rows_of
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
from arbench.kernels.logits.log_prob_programs import (
    log_prob_backward_kernel,
    log_prob_online_kernel,
    log_prob_single_block_kernel,
)

SINGLE_BLOCK_WIDTH = 8192
"""Widest row that a program keeps in registers."""
ONLINE_WARPS = 8
"""Warps of a program for a wider row; it loads 16 logits a thread at a time, in tiles of 16 bytes a thread."""
NAME = "log_prob_from_logits"


def _tile(width: int) -> dict[str, int]:
    """Return the rows of a program and its warps: at least 1,024 elements, and a warp for every 512."""
    block = triton.next_power_of_2(width)
    return dict(BLOCK_ROWS=max(1, 1024 // block), BLOCK_V=block, num_warps=max(block // 512, 1))


def _computed(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _triton(x: Tensor, index: Tensor, ignored: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities, row maxima and logarithms of the sums of exponentials, (...) each."""
    width = x.shape[-1]
    y, row_maxima, log_sums = (empty(index.shape, _computed(x), x.device) for _ in range(3))
    found = rows_of(NAME, x[..., 0], index)
    x_strides, index_strides = found.strides
    tensors = (x, index, y, row_maxima, log_sums, ignored or 0)
    strides = (width, *found.inner, *x_strides, x.stride(-1), *index_strides)
    if width > SINGLE_BLOCK_WIDTH:
        launch(
            log_prob_online_kernel,
            (found.count,),
            *tensors,
            *strides,
            IGNORES=ignored is not None,
            TILES=x.itemsize,
            BLOCK_V=ONLINE_WARPS * 512 // x.itemsize,
            num_warps=ONLINE_WARPS,
        )
        return y, row_maxima, log_sums
    tile = _tile(width)
    grid = (triton.cdiv(found.count, tile["BLOCK_ROWS"]),)
    launch(log_prob_single_block_kernel, grid, *tensors, found.count, *strides, IGNORES=ignored is not None, **tile)
    return y, row_maxima, log_sums


def _triton_backward(
    x: Tensor, index: Tensor, dy: Tensor, row_maxima: Tensor, log_sums: Tensor, ignored: int | None
) -> Tensor:
    dx = empty_like(x)
    width = x.shape[-1]
    if dy.dim() > MOST_AXES:  # autograd chose its strides; contiguous, its axes merge as those of x do
        dy = dy.contiguous()
    found = rows_of(NAME, x[..., 0], index, dy, dx[..., 0])
    x_strides, index_strides, dy_strides, dx_strides = found.strides
    tile = _tile(min(width, 2048))
    launch(
        log_prob_backward_kernel,
        (triton.cdiv(found.count, tile["BLOCK_ROWS"]) * triton.cdiv(width, tile["BLOCK_V"]),),
        x,
        index,
        dy,
        row_maxima,
        log_sums,
        dx,
        ignored or 0,
        found.count,
        width,
        *found.inner,
        *x_strides,
        x.stride(-1),
        *index_strides,
        *dy_strides,
        *dx_strides,
        dx.stride(-1),
        IGNORES=ignored is not None,
        **tile,
    )
    return dx


def _numba(x: Tensor, index: Tensor, ignored: int | None) -> tuple[Tensor, Tensor, Tensor]:
    from arbench.kernels.core import numba_rows

    width = x.shape[-1]
    y, row_maxima, log_sums = (empty(index.shape, x.dtype, x.device) for _ in range(3))
    safe = index if ignored is None else index.masked_fill(index == ignored, 0)
    memory, starts = numba_rows.flat(x)
    outs = [out.view(-1).numpy() for out in (row_maxima, log_sums, y)]
    numba_rows.over_rows(numba_rows.sums, len(starts), width, memory, width, starts, safe.flatten().numpy(), *outs)
    y -= log_sums.log_()
    if ignored is not None:
        y.masked_fill_(index == ignored, 0)
    return y, row_maxima, log_sums


def _numba_backward(
    x: Tensor, index: Tensor, dy: Tensor, row_maxima: Tensor, log_sums: Tensor, ignored: int | None
) -> Tensor:
    from arbench.kernels.core import numba_rows

    width = x.shape[-1]
    dx = empty(x.shape, x.dtype, x.device)
    live = torch.ones_like(index, dtype=torch.bool) if ignored is None else index != ignored
    memory, starts = numba_rows.flat(x)
    rows = [one.flatten().numpy() for one in (index, live, dy, row_maxima, log_sums, dx)]
    numba_rows.over_rows(numba_rows.gradients, len(starts), width, memory, width, starts, *rows)
    return dx


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, ignored: int | None, backend: str) -> Tensor:
        y, row_maxima, log_sums = (_triton if backend == "triton" else _numba)(x, index, ignored)
        ctx.save_for_backward(x, index, row_maxima, log_sums)
        ctx.ignored, ctx.backend, ctx.name = ignored, backend, NAME
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, index, row_maxima, log_sums = ctx.saved_tensors
        run = _triton_backward if ctx.backend == "triton" else _numba_backward
        return run(x, index, dy, row_maxima, log_sums, ctx.ignored), None, None, None


def _eager(x: Tensor, index: Tensor, ignored: int | None) -> Tensor:
    x = x.to(_computed(x))
    if ignored is None:
        return x.log_softmax(-1).gather(-1, index[..., None]).squeeze(-1)
    skip = index == ignored
    x = x.masked_fill(skip[..., None], 0)
    return _eager(x, index.masked_fill(skip, 0), None).masked_fill(skip, 0)


@as_given
def log_prob_from_logits(
    logits: Tensor, index: Tensor, *, ignore_index: int | None = None, backend: str | None = None
) -> Tensor:
    """Return log softmax(logits)[index] along the last axis: minus the cross-entropy of each position.

    Args:
        logits: (..., V), of any strides; float64, float32, float16 or bfloat16.
        index: (...), int64, from 0 to V - 1.
        ignore_index: index, any 64-bit integer, of positions whose result and gradient are 0.
        backend: "eager", "triton" or "numba" (float32 and float64 on the CPU, contiguous along the last axis,
            as many threads as ``torch.get_num_threads()``); by default Triton for a tensor on a GPU.

    Returns:
        Log-probabilities (...), float64 for float64 logits and float32 otherwise: in half precision they would
        have two or three digits. A row with NaN or +inf, or of -inf alone, gives NaN. Differentiable once with
        respect to the logits; a derivative of second order raises RuntimeError, except on the eager backend.

    Raises:
        IndexError: an index is out of range, on the CPU; Triton returns NaN for it, and NaN gradients.
        ValueError: V is 0; shapes or devices do not fit; ``ignore_index`` exceeds 64 bits; more than three
            leading axes do not merge (Triton); the last axis is not contiguous (Numba).
        TypeError: logits are not floating-point, or in half precision (Numba); index is not int64;
            ``ignore_index`` is not an integer.
    """
    floating(NAME, logits=logits)
    same_device(NAME, logits=logits, index=index)
    if logits.dim() == 0:
        raise ValueError(f"{NAME}: logits are a scalar; they need at least one axis")
    if index.dtype != torch.int64:
        raise TypeError(f"{NAME}: index must be int64, not {index.dtype}")
    if index.shape != logits.shape[:-1]:
        raise ValueError(
            f"{NAME}: index must be {tuple(logits.shape[:-1])} for logits {tuple(logits.shape)}, "
            f"not {tuple(index.shape)}"
        )
    if ignore_index is not None:
        ignore_index = integer(NAME, "ignore_index", ignore_index)
        if not -(2**63) <= ignore_index < 2**63:
            raise ValueError(f"{NAME}: ignore_index must fit into 64 bits, not {ignore_index}")
    width = logits.shape[-1]
    if width == 0:
        raise ValueError(
            f"{NAME}: logits of shape {tuple(logits.shape)} have no classes; the last axis must not be empty"
        )
    backend = choose(NAME, backend, logits, BACKENDS)
    if backend == "triton":
        return _LogProb.apply(logits, index, ignore_index, backend)
    if index.device.type == "cpu":
        _in_range(index, width, ignore_index)
    if backend == "eager":
        return _eager(logits, index, ignore_index)
    from arbench.kernels.core import numba_rows

    numba_rows.check(NAME, logits=logits)
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

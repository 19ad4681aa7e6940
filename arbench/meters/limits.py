"""The limits of this machine: the best measured rates of copying, reading and multiplying.

Bandwidth is measured for working sets from one that fits the first cache to one that fits none. A small working set
takes less time than the call of an operation, so one call passes over it many times: it processes a view whose rows
overlap, each starting one cache line after the previous one.

Every copy, sum and product is checked. The first two calls are not timed, and the fastest of the others counts: a
limit is the best possible rate, not the usual one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from arbench.meters.clock import Clock
from arbench.meters.environment import caches

_SMALLEST = 32 << 10
_LAST_CACHE = 32 << 20
"""Size of the last cache where the system does not report it."""
_LARGEST = 1 << 30
_CALL_BYTES = 4 << 20
"""Smallest number of bytes that one call should move, so that the overhead of the call is negligible."""
_MOST_PASSES = 64
_LINE = 16
"""Length of a cache line, in elements of float32."""
_MATMUL = {"cpu": (256, 512, 1024), "cuda": (2048, 4096, 8192)}
_DTYPES = {
    "cpu": (torch.float32, torch.float64),
    "cuda": (torch.float32, torch.float64, torch.bfloat16, torch.float16),
}
_FEWEST = 3
"""Smallest number of timed repeats, whatever the budget."""


def limits(device: str, threads: int | None = None, budget_s: float = 2.0) -> dict[str, Any]:
    """Measure the limits of a device.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        threads: number of CPU threads; PyTorch's current setting if None.
        budget_s: approximate seconds to spend, half on bandwidth and half on products. Each point is measured three
            times whatever the budget.

    Returns:
        ``copy`` and ``read``: lists of ``{"bytes": working set, "gb_per_s": rate}``, where a copy counts the bytes it
        reads and the bytes it writes; ``matmul``: rate in GFLOP/s by dtype, on a GPU also for ``tf32``; ``timer_s``:
        the overhead of timing a call. A gigabyte is 10^9 bytes.

    Raises:
        ValueError: a device that does not exist, or fewer than one thread.
        RuntimeError: an operation gave a wrong result.
    """
    clock = Clock(device)
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    with torch.no_grad(), _threads(threads):
        sizes = list(_working_sets(clock.device))
        share_s = budget_s / 2 / (2 * len(sizes))
        copies = [_copy(clock, size, share_s) for size in sizes]
        reads = [_read(clock, size, share_s) for size in sizes]
        dtypes = _DTYPES[clock.device.type]
        matmul = {
            str(dtype).removeprefix("torch."): _matmul(clock, dtype, budget_s / 2 / len(dtypes)) for dtype in dtypes
        }
        if clock.device.type == "cuda":
            with _tf32():
                matmul["tf32"] = _matmul(clock, torch.float32, budget_s / 2 / len(dtypes))
    return {"copy": copies, "read": reads, "matmul": matmul, "timer_s": clock.overhead_s()}


@contextmanager
def _tf32() -> Iterator[None]:
    """Round products of float32 numbers to TF32 inside the context."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _working_sets(device: torch.device) -> Iterator[int]:
    """Yield sizes in bytes that double from 32 KiB to four times the last cache.

    They start at 1 MiB on a GPU, where the overhead of a call exceeds the work on a smaller set.
    """
    if device.type == "cuda":
        size, last = 1 << 20, torch.cuda.get_device_properties(device).L2_cache_size
    else:
        size, last = _SMALLEST, max(caches().values(), default=_LAST_CACHE)
    while size <= max(2 * last, min(4 * last, _LARGEST)):
        yield size
        size *= 2


def _overlapping(size: int, device: torch.device) -> tuple[Tensor, int]:
    """Return overlapping rows of ones over about ``size`` bytes, shape (passes, elements), and the exact bytes."""
    passes = max(1, min(_MOST_PASSES, _CALL_BYTES // size))
    length = size // 4 - _LINE * (passes - 1)
    memory = torch.ones(size // 4, device=device)
    return memory.as_strided((passes, length), (_LINE, 1)), memory.nbytes


def _copy(clock: Clock, size: int, budget_s: float) -> dict[str, float]:
    source, read = _overlapping(size // 2, clock.device)
    target, written = _overlapping(size // 2, clock.device)
    target.zero_()
    seconds = _best(clock, lambda: target.copy_(source), budget_s)
    _demand(bool((target == source).all()), "a copy differs from its source")
    return {"bytes": read + written, "gb_per_s": 2 * source.nbytes / seconds * 1e-9}


def _read(clock: Clock, size: int, budget_s: float) -> dict[str, float]:
    source, read = _overlapping(size, clock.device)
    totals = torch.zeros(source.size(0), device=clock.device)
    seconds = _best(clock, lambda: torch.sum(source, 1, out=totals), budget_s)
    _demand(bool((totals == source.size(1)).all()), "a sum of ones is not their count")
    return {"bytes": read, "gb_per_s": source.nbytes / seconds * 1e-9}


def _matmul(clock: Clock, dtype: torch.dtype, budget_s: float) -> float:
    """Return the best rate over a few sizes of square matrices, in GFLOP/s."""
    best = 0.0
    sizes = _MATMUL[clock.device.type]
    for n in sizes:
        a = torch.ones(n, n, dtype=dtype, device=clock.device)
        out = torch.zeros_like(a)
        seconds = _best(clock, partial(torch.mm, a, a, out=out), budget_s / len(sizes))
        _demand(bool((out == n).all()), f"a product of ones in {dtype} is not their count")
        best = max(best, 2 * n**3 / seconds * 1e-9)
    return best


def _best(clock: Clock, call: Callable[[], Any], budget_s: float) -> float:
    """Return the seconds of the fastest of several calls, less the overhead of the clock."""
    end = perf_counter() + budget_s
    call()
    call()
    best, repeats = clock.time(call), 1
    while repeats < _FEWEST or perf_counter() < end:
        best = min(best, clock.time(call))
        repeats += 1
    return max(best - clock.overhead_s(), best / 2)


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise RuntimeError(f"cannot measure the limits of this machine: {otherwise}")

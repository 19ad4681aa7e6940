"""What this machine can do at most: copying, reading and multiplying, measured with nothing in the way.

Bandwidth is measured by working set, from what fits the first cache to what fits none. A small working set
takes less time than calling an operation, so one call passes over it many times: it goes over a view whose
rows overlap, each a cache line after the one before.

Results are used (each copy and sum is checked, each product too), the first passes are not timed, and of
the rest the best counts: a limit is what is possible, not what is usual.
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
"""Size of the last cache where the system does not tell."""
_LARGEST = 1 << 30
_CALL_BYTES = 4 << 20
"""What one call should move at least, so that its own cost is small beside it."""
_MOST_PASSES = 64
_LINE = 16
"""A cache line, in elements of float32."""
_MATMUL = {"cpu": (256, 512, 1024), "cuda": (2048, 4096, 8192)}
_DTYPES = {
    "cpu": (torch.float32, torch.float64),
    "cuda": (torch.float32, torch.float64, torch.bfloat16, torch.float16),
}
_FEWEST = 3
"""Timed repeats, even where the budget is spent."""


def limits(device: str, threads: int | None = None, budget_s: float = 2.0) -> dict[str, Any]:
    """Measures the limits of a device.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        threads: threads of the CPU to use; as many as PyTorch is set to without it.
        budget_s: seconds to spend, about; half on bandwidth, half on products. Each point is measured
            three times whatever the budget.

    Returns:
        ``copy`` and ``read``: lists of ``{"bytes": working set, "gb_per_s": rate}``, a copy counting what
        it reads and what it writes; ``matmul``: rate in GFLOP/s by dtype, on a GPU also of ``tf32``;
        ``timer_s``: what timing a call adds. A gigabyte is 10^9 bytes.

    Raises:
        ValueError: no such device, or fewer than one thread.
        RuntimeError: a result was wrong.
    """
    clock = Clock(device)
    if threads is not None and threads < 1:
        raise ValueError(f"at least one thread is needed, not {threads}")
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
    """Inside, products of float32 numbers are rounded to TF32."""
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
    """Doublings from 32 KiB (a GPU: 1 MiB, below which a call costs more than its work) to four times the
    last cache."""
    if device.type == "cuda":
        size, last = 1 << 20, torch.cuda.get_device_properties(device).L2_cache_size
    else:
        size, last = _SMALLEST, max(caches().values(), default=_LAST_CACHE)
    while size <= max(2 * last, min(4 * last, _LARGEST)):
        yield size
        size *= 2


def _overlapping(size: int, device: torch.device) -> tuple[Tensor, int]:
    """Rows over about ``size`` bytes of ones, and the bytes they cover. Shape (passes, elements)."""
    passes = max(1, min(_MOST_PASSES, _CALL_BYTES // size))
    length = size // 4 - _LINE * (passes - 1)
    memory = torch.ones(size // 4, device=device)
    return memory.as_strided((passes, length), (_LINE, 1)), memory.nbytes


def _copy(clock: Clock, size: int, budget_s: float) -> dict[str, float]:
    source, read = _overlapping(size // 2, clock.device)
    target, written = _overlapping(size // 2, clock.device)
    target.zero_()
    seconds = _best(clock, lambda: target.copy_(source), budget_s)
    _demand(bool((target == source).all()), "a copy differs from what was copied")
    return {"bytes": read + written, "gb_per_s": 2 * source.nbytes / seconds * 1e-9}


def _read(clock: Clock, size: int, budget_s: float) -> dict[str, float]:
    source, read = _overlapping(size, clock.device)
    totals = torch.zeros(source.size(0), device=clock.device)
    seconds = _best(clock, lambda: torch.sum(source, 1, out=totals), budget_s)
    _demand(bool((totals == source.size(1)).all()), "a sum of ones is not their number")
    return {"bytes": read, "gb_per_s": source.nbytes / seconds * 1e-9}


def _matmul(clock: Clock, dtype: torch.dtype, budget_s: float) -> float:
    """The best rate over a few sizes of square matrices, in GFLOP/s."""
    best = 0.0
    sizes = _MATMUL[clock.device.type]
    for n in sizes:
        a = torch.ones(n, n, dtype=dtype, device=clock.device)
        out = torch.zeros_like(a)
        seconds = _best(clock, partial(torch.mm, a, a, out=out), budget_s / len(sizes))
        _demand(bool((out == n).all()), f"a product of ones in {dtype} is not their number")
        best = max(best, 2 * n**3 / seconds * 1e-9)
    return best


def _best(clock: Clock, call: Callable[[], Any], budget_s: float) -> float:
    """Seconds of the fastest of several calls, the clock's own share taken off."""
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
        raise RuntimeError(f"the limits cannot be trusted: {otherwise}")

"""Facts that native samplers depend on: the width of vectors, and the time in which two threads exchange sums."""

from __future__ import annotations

import os
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from arbench.methods.native import uncompiled

FLOATS = 64
"""Numbers of an exchange, float32: the residual channels of wavenet:nv."""
WARM = 200
"""Exchanges of each trial that are not timed: until both threads run."""
COUNT = 2000
TRIALS = 11


def native_facts() -> dict[str, Any]:
    """Return the facts about native samplers on this machine.

    Returns:
        ``vectors``: name of the vector registers; ``vector_bytes``: their size; each None if unknown. ``exchange_s``:
        the median of what ``exchange_s`` returns, and ``exchange_best_s`` the least, much smaller where other programs
        use the processors too; each None where this process has one processor, or compiles nothing.
    """
    from arbench.kernels.samplers.vectors import registers  # imports Numba

    name, size = registers()
    found = exchange_s() if len(os.sched_getaffinity(0)) > 1 and uncompiled() is None else []
    return {
        "vectors": name,
        "vector_bytes": size,
        "exchange_s": statistics.median(found) if found else None,
        "exchange_best_s": min(found, default=None),
    }


def uncached() -> str | None:
    """Return a warning where this process compiled native code and could not keep it; None else."""
    rows = sys.modules.get("arbench.kernels.core.numba_rows")  # importing it takes half a second
    said = rows.uncached() if rows is not None else None
    return f"{said}; {rows.REMEDY}" if rows is not None and said else None


def exchange_s(count: int = COUNT, trials: int = TRIALS) -> list[float]:
    """Return the seconds of one exchange of 64 floats between two threads, in each of some trials.

    Args:
        count: exchanges, one after the other, in a trial.
        trials: number of trials.
    """
    import numpy as np

    from arbench.kernels.samplers.exchange import COUNTERS, exchanges, stop

    counters, boxes = np.zeros(COUNTERS, np.int64), np.zeros((2, 2, FLOATS), np.float32)
    parts = [np.zeros(FLOATS, np.float32) for _ in range(2)]
    exchanges(counters, boxes, 0, 1, parts[0], 0)  # compiles

    def work(thread: int) -> list[float]:
        seconds: list[float] = []
        number = 1
        try:
            for _ in range(trials):
                exchanges(counters, boxes, thread, number, parts[thread], WARM)
                begin = perf_counter()
                exchanges(counters, boxes, thread, number + WARM, parts[thread], count)
                seconds.append((perf_counter() - begin) / count)
                number += WARM + count
        except BaseException:
            stop(counters)  # the other would wait for ever
            raise
        return seconds

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(work, 1)
        found = work(0)
        other.result()
    return found

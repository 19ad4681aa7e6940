"""How evenly a stream comes: the time to its first chunk, and the gaps between chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np

FEWEST_FOR_P99 = ceil(log(0.01) / log(0.99))
"""Fewest gaps, 459, of which a 99th percentile is given: with 99% probability the longest of them is beyond it."""


@dataclass(frozen=True)
class Pace:
    """Seconds between the chunks of one case."""

    first_s: float
    """From the start of a call to its first chunk, median over the workers' medians."""
    gaps: int = 0
    """Number of gaps between two chunks that were measured."""
    gap_median_s: float | None = None
    """From a chunk to the next, median over the workers' medians; None where no call has a second whole chunk."""
    gap_worst_s: float | None = None
    """Longest gap of any call."""
    gap_p99_s: float | None = None
    """99th percentile of all gaps; None below ``FEWEST_FOR_P99`` of them."""


def pace(by_worker: Mapping[int, Sequence[Sequence[float]]], partial: bool) -> Pace:
    """Summarise the chunks of one case.

    Args:
        by_worker: worker to its calls, each the seconds of its chunks: the first from the start of the call, the others
            from the chunk before.
        partial: whether the last chunk of a call has fewer elements than the others; its gap is left out.

    Raises:
        ValueError: no calls, or a call without chunks.
    """
    workers = [calls for calls in by_worker.values() if calls]
    if not workers or not all(all(calls) for calls in workers):
        raise ValueError("no chunks")
    first = float(np.median([np.median([call[0] for call in calls]) for calls in workers]))
    each = [[gap for call in calls for gap in call[1 : len(call) - partial]] for calls in workers]
    each = [gaps for gaps in each if gaps]
    if not each:
        return Pace(first)
    together = np.concatenate(each)
    return Pace(
        first,
        len(together),
        float(np.median([np.median(gaps) for gaps in each])),
        float(together.max()),
        float(np.quantile(together, 0.99)) if len(together) >= FEWEST_FOR_P99 else None,
    )

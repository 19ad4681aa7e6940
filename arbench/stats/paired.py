"""Speed ratio of two cases, from samples taken in the same rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from arbench.stats.intervals import order_statistic_interval

Rounds = Mapping[tuple[int, int], float]
"""(worker, round) to seconds: the median of that round's samples."""


@dataclass(frozen=True)
class PairedRatio:
    """Speed of a case over its reference; above 1 the case is faster."""

    ratio: float
    ci95: tuple[float, float] | None
    """95% order-statistic interval over workers; None below six."""
    range: tuple[float, float] | None
    """Smallest and largest ratio of a worker, where there are too few workers for an interval."""
    workers: int
    rounds: int
    """Number of rounds that contain both cases."""


def ratio(case: Rounds, reference: Rounds) -> PairedRatio:
    """Return the median over workers of each worker's median of reference over case in the shared rounds.

    A disturbance of a whole round slows both cases alike and cancels. Medians are taken of logarithms, so that
    exchanging the two cases inverts the result exactly.

    Raises:
        ValueError: no round contains both cases, or a duration is not positive.
    """
    shared = sorted(case.keys() & reference.keys())
    if not shared:
        raise ValueError("no round contains both cases")
    if min(min(case[key], reference[key]) for key in shared) <= 0:
        raise ValueError("durations must be positive")
    by_worker: dict[int, list[float]] = {}
    for key in shared:
        by_worker.setdefault(key[0], []).append(np.log(reference[key]) - np.log(case[key]))
    medians = [float(np.median(logs)) for logs in by_worker.values()]
    interval = order_statistic_interval(medians)
    return PairedRatio(
        ratio=float(np.exp(np.median(medians))),
        ci95=_exp(interval),
        range=_exp((min(medians), max(medians))) if interval is None and len(medians) > 1 else None,
        workers=len(medians),
        rounds=len(shared),
    )


def _exp(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if ends is None else (float(np.exp(ends[0])), float(np.exp(ends[1])))

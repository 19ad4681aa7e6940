"""One case's samples in a few numbers, with workers as the clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arbench.stats.digits import format_interval, format_ratio, format_seconds, format_si
from arbench.stats.intervals import order_statistic_interval, outliers, spread

__all__ = [
    "Summary",
    "format_interval",
    "format_ratio",
    "format_seconds",
    "format_si",
    "summarise",
]

WORKERS_APART = 0.10
"""Range of the workers' medians, relative to their median, above which a case is unstable."""
SAMPLES_APART = 0.25
"""Interquartile range of the samples inside a worker, relative, above which a case is unstable."""


@dataclass(frozen=True)
class Summary:
    """What the samples of one case say. Times are seconds."""

    median_s: float
    """Median over the workers' medians."""
    ci95_s: tuple[float, float] | None
    """95% order-statistic interval over workers; None below six."""
    range_s: tuple[float, float] | None
    """Least and greatest of the workers' medians, where there are too few for an interval."""
    workers: int
    samples: int
    outliers: int
    """Outside Tukey's fences inside their own worker."""
    unstable: bool
    """The workers' medians range over more than 10%, or inside the median worker the middle half
    of the samples covers more than 25%."""


def summarise(by_worker: Mapping[int, Sequence[float]]) -> Summary:
    """Summarises the durations of one case.

    Fresh processes differ by a few percent however many samples each takes, so a worker counts
    as one observation: its median.

    Args:
        by_worker: worker to its samples, seconds; workers without samples are left out.

    Raises:
        ValueError: no samples at all, or not all positive and finite.
    """
    workers = [np.asarray(samples, dtype=np.float64) for samples in by_worker.values() if len(samples)]
    if not workers:
        raise ValueError("no samples")
    outlying = sum(outliers(samples) for samples in workers)
    medians = [float(np.median(samples)) for samples in workers]
    middle = float(np.median(medians))
    ci95 = order_statistic_interval(medians)
    apart = (max(medians) - min(medians)) / middle
    within = float(np.median([spread(samples) for samples in workers]))
    return Summary(
        median_s=middle,
        ci95_s=ci95,
        range_s=(min(medians), max(medians)) if ci95 is None and len(medians) > 1 else None,
        workers=len(workers),
        samples=sum(len(samples) for samples in workers),
        outliers=outlying,
        unstable=apart > WORKERS_APART or within > SAMPLES_APART,
    )

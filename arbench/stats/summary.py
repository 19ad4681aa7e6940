"""Summary of one case's samples, with workers as the clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arbench.stats.intervals import order_statistic_interval, outliers, spread

WORKERS_APART = 0.10
"""Range of the workers' medians, relative to their median, above which a case is unstable."""
SAMPLES_APART = 0.25
"""Interquartile range of the samples inside a worker, relative, above which a case is unstable."""


@dataclass(frozen=True)
class Summary:
    """Statistics of the samples of one case. Times are seconds."""

    median_s: float
    """Median over the workers' medians."""
    ci95_s: tuple[float, float] | None
    """95% order-statistic interval over workers; None below six."""
    range_s: tuple[float, float] | None
    """Smallest and largest of the workers' medians, where there are too few for an interval."""
    workers: int
    samples: int
    outliers: int
    """Number of samples outside Tukey's fences of their own worker."""
    unstable: bool
    """True if the medians of the workers, or the samples within a worker, vary too much.

    The medians range over more than 10% of their median, or the interquartile range within the median worker exceeds
    25% of its median.
    """


def summarise(by_worker: Mapping[int, Sequence[float]]) -> Summary:
    """Summarise the durations of one case.

    Fresh processes differ by a few percent however many samples each takes, so a worker counts as one observation,
    its median.

    Args:
        by_worker: worker to its samples in seconds; workers without samples are ignored.

    Raises:
        ValueError: no samples at all, or samples that are not all positive and finite.
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

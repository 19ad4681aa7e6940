"""Statements about one sample that need no normal distribution: intervals, quantile, outliers, spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float] | NDArray[np.float64]

SUPPORT = 0.99
"""Chance with which a sample must reach beyond a quantile before the quantile is printed."""


def _sorted(values: Values) -> np.ndarray:
    array = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if array.size == 0:
        raise ValueError("no values")
    if not np.isfinite(array).all():
        raise ValueError("values must be finite")
    return array


def order_statistic_interval(values: Values, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return an interval for the median from order statistics, valid for any continuous distribution.

    The k-th smallest and k-th largest of n independent values enclose the median with probability
    1 - 2 B(k - 1; n, 1/2), where B is the binomial distribution function. SciPy takes the largest k whose
    coverage exceeds ``confidence``.

    Args:
        values: independent observations, in any order.
        confidence: coverage, in (0, 1).

    Returns:
        (low, high) in the unit of ``values``, or None where even their whole range does not reach
        ``confidence``: below 6 values for 95%.

    Raises:
        ValueError: no values, values that are not all finite, or ``confidence`` outside (0, 1).

    Source: David and Nagaraja, *Order Statistics*, section 7.1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    array = _sorted(values)
    ranks = _ranks_about_median(array.size, confidence)
    return (float(array[ranks[0]]), float(array[ranks[1]])) if ranks else None


@cache
def _ranks_about_median(n: int, confidence: float) -> tuple[int, int] | None:
    """Return the indices, in a sorted sample of ``n``, that bound the median; None where no two do."""
    from scipy.stats import quantile_test  # workers compute no interval and need not wait for the import

    low, high = quantile_test(range(n), p=0.5).confidence_interval(confidence)
    return None if math.isnan(low) or math.isnan(high) else (int(low), int(high))


def signed_rank_interval(values: Values, confidence: float = 0.95) -> tuple[float, float, float] | None:
    """Hodges-Lehmann estimate of a centre of symmetry, and its exact interval by Wilcoxon's signed ranks.

    The estimate is the median of the means of all pairs, a value with itself included. The k-th least and
    k-th greatest of these hold the centre with probability 1 - 2 P(T < k), T the signed-rank statistic, for
    any distribution that is symmetric, as the difference of two sides is whose noise is alike. Under normal
    noise it is shorter by a fifth than the interval from order statistics.

    Args:
        values: independent observations, in any order.
        confidence: coverage asked for, in (0, 1).

    Returns:
        (estimate, low, high), or None where even the whole range does not reach ``confidence``: below 6
        values for 95%.

    Raises:
        ValueError: no values, or not all finite.

    Source: Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3rd edition, sections 3.2, 3.3.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    array = _sorted(values)
    first, second = np.triu_indices(array.size)
    means = np.sort((array[first] + array[second]) / 2)
    chances = np.ones(1)
    for rank in range(1, array.size + 1):
        longer = np.zeros(chances.size + rank)
        longer[: chances.size] = chances / 2
        longer[rank:] += chances / 2
        chances = longer
    k = int((np.cumsum(chances) <= (1 - confidence) / 2 * (1 + 1e-9)).sum())
    return (float(np.median(means)), float(means[k - 1]), float(means[-k])) if k else None


def quantile(values: Values, q: float) -> float | None:
    """The ``q``-quantile, or None where the sample is too small to support it.

    It is supported once the sample reaches beyond the true quantile with probability 99%: the
    chance that all n values fall short of it is q^n (for q below 1/2, (1 - q)^n), so
    n >= log(0.01) / log(max(q, 1 - q)): 7 for the median, 90 for p95, 459 for p99.

    Raises:
        ValueError: ``q`` outside (0, 1), no values, or not all finite.
    """
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, not {q}")
    array = _sorted(values)
    if array.size < math.log(1 - SUPPORT) / math.log(max(q, 1 - q)):
        return None
    return float(np.quantile(array, q))


def outliers(values: Values, fence: float = 1.5) -> int:
    """How many values lie outside Tukey's fences on the logarithms. Counted, never dropped.

    Logarithms, because durations are positive and skewed to the right: on them the fence is a
    factor, the same for nanoseconds and minutes. Below four values there are no quartiles to
    speak of, and the count is 0.

    Args:
        values: positive durations of equal work.
        fence: interquartile ranges beyond the quartiles.

    Raises:
        ValueError: no values, or not all positive and finite.
    """
    array = _sorted(values)
    if array[0] <= 0:
        raise ValueError("durations must be positive")
    if array.size < 4:
        return 0
    logs = np.log(array)
    low, high = np.quantile(logs, [0.25, 0.75])
    # A clock's ticks can make the quartiles equal; rounding of the logarithm is then no outlier.
    reach = fence * (high - low) + 1e-12
    return int(((logs < low - reach) | (logs > high + reach)).sum())


def spread(values: Values) -> float:
    """Interquartile range over the median: relative, robust; 0 for a single value.

    Raises:
        ValueError: no values, not all finite, or a median that is not positive.
    """
    low, middle, high = np.quantile(_sorted(values), [0.25, 0.5, 0.75])
    if middle <= 0:
        raise ValueError("the median must be positive")
    return float((high - low) / middle)

"""Distribution-free statistics of one sample: intervals, outliers, spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float] | NDArray[np.float64]


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
    coverage exceeds ``confidence``; where a coverage equals it exactly, the interval is wider, or there is none.

    Args:
        values: independent observations, in any order.
        confidence: coverage, in (0, 1).

    Returns:
        (low, high) in the unit of ``values``, or None where the coverage of even their whole range does not exceed
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


def proportion_interval(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a probability of which ``count`` in ``n`` independent trials are seen.

    Raises:
        ValueError: there is no trial, or ``count`` is not between 0 and ``n``.

    Source: Wilson, *Probable Inference, the Law of Succession, and Statistical Inference*, 1927.
    """
    from scipy.stats import binomtest

    found = binomtest(count, n).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def hodges_lehmann(values: Values) -> float:
    """Return the median of the means of all pairs of values, each value paired with itself too.

    It estimates a centre of symmetry. Under normal noise its variance is 1.05 times that of the mean, where the
    median's is 1.57 times; outliers move it little.

    Raises:
        ValueError: no values, or values that are not all finite.

    Source: Hodges and Lehmann, *Estimates of Location Based on Rank Tests*, 1963.
    """
    return float(np.median(_walsh_means(_sorted(values))))


def _walsh_means(array: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(array.size)
    return (array[first] + array[second]) / 2


def signed_rank_interval(values: Values, confidence: float = 0.95) -> tuple[float, float, float] | None:
    """Return the Hodges-Lehmann estimate of a centre of symmetry and its exact Wilcoxon signed-rank interval.

    The estimate is that of ``hodges_lehmann``. The k-th smallest and k-th largest of the means of pairs enclose the
    centre with probability 1 - 2 P(T < k), where T is the signed-rank statistic, for any symmetric distribution. The
    difference of two sides with equal noise is symmetric. Under normal noise this interval is a fifth shorter than the
    one from order statistics.

    Args:
        values: independent observations, in any order.
        confidence: coverage, in (0, 1).

    Returns:
        (estimate, low, high), or None where even the whole range does not reach ``confidence``: below 6
        values for 95%.

    Raises:
        ValueError: no values, values that are not all finite, or ``confidence`` outside (0, 1).

    Source: Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3rd edition, sections 3.2, 3.3.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    array = _sorted(values)
    means = np.sort(_walsh_means(array))
    chances = np.ones(1)
    for rank in range(1, array.size + 1):
        longer = np.zeros(chances.size + rank)
        longer[: chances.size] = chances / 2
        longer[rank:] += chances / 2
        chances = longer
    k = int((np.cumsum(chances) <= (1 - confidence) / 2 * (1 + 1e-9)).sum())
    return (float(np.median(means)), float(means[k - 1]), float(means[-k])) if k else None


def outliers(values: Values, fence: float = 1.5) -> int:
    """Count the values outside Tukey's fences on the logarithms; none is dropped.

    Durations are positive and skewed to the right. On their logarithms the fence is a factor, the same for
    nanoseconds and minutes. Fewer than four values have no meaningful quartiles, and the count is 0.

    Args:
        values: positive durations of equal work.
        fence: distance of the fences from the quartiles, in interquartile ranges.

    Raises:
        ValueError: no values, or values that are not all positive and finite.
    """
    array = _sorted(values)
    if array[0] <= 0:
        raise ValueError("durations must be positive")
    if array.size < 4:
        return 0
    logs = np.log(array)
    low, high = np.quantile(logs, [0.25, 0.75])
    # The clock's resolution can make the quartiles equal; rounding of the logarithm is then no outlier.
    reach = fence * (high - low) + 1e-12
    return int(((logs < low - reach) | (logs > high + reach)).sum())


def spread(values: Values) -> float:
    """Return the interquartile range over the median, a robust relative spread; 0 for a single value.

    Raises:
        ValueError: no values, values that are not all finite, or a median that is not positive.
    """
    low, middle, high = np.quantile(_sorted(values), [0.25, 0.5, 0.75])
    if middle <= 0:
        raise ValueError("the median must be positive")
    return float((high - low) / middle)

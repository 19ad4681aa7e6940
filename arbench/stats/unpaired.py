"""Ratio of a case's time in one run to its time in another, from independent workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np

Interval = tuple[float, float]


@dataclass(frozen=True)
class UnpairedRatio:
    """Value of one run over the value of a reference run; above 1 the first is larger."""

    ratio: float
    """Hodges-Lehmann estimate."""
    ci95: Interval | None
    """Exact rank-sum interval; None with too few observations."""
    range: Interval | None
    """Smallest and largest of several ratios, where there are too few for an interval."""
    observations: tuple[int, int]
    """Number of observations of the run and of the reference."""


def unpaired_ratio(values: Sequence[float], reference: Sequence[float], confidence: float = 0.95) -> UnpairedRatio:
    """Return the ratio of two samples, assuming only that one distribution is the other scaled by a factor.

    On logarithms the factor is a shift. Its estimate is the median of all m n differences (Hodges and Lehmann). The
    k-th smallest and k-th largest difference enclose it with probability 1 - 2 P(U < k), where U is the Wilcoxon
    rank-sum statistic in Mann and Whitney's form, for any distribution. Ties do not lower the coverage.

    Args:
        values: positive values of one run, each the median of a worker.
        reference: the same for the run to compare with.
        confidence: coverage, in (0, 1). 95% needs at least 4 and 4 observations, 3 and 5, or 2 and 8.

    Raises:
        ValueError: an empty sample, a value that is not positive and finite, or ``confidence`` outside (0, 1).

    Source: Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3rd edition, sections 4.2, 4.3.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    one, other = (np.asarray(each, dtype=np.float64).ravel() for each in (values, reference))
    for each in (one, other):
        if not each.size:
            raise ValueError("no values")
        if not (np.isfinite(each).all() and (each > 0).all()):
            raise ValueError("values must be positive and finite")
    differences = np.sort(np.subtract.outer(np.log(one), np.log(other)), axis=None)
    k = _rank(one.size, other.size, confidence)
    low, high = (float(np.exp(end)) for end in (differences[max(k, 1) - 1], differences[-max(k, 1)]))
    return UnpairedRatio(
        ratio=float(np.exp(np.median(differences))),
        ci95=(low, high) if k else None,
        range=(low, high) if not k and differences.size > 1 else None,
        observations=(one.size, other.size),
    )


@cache
def _rank(m: int, n: int, confidence: float) -> int:
    """Return the largest k with 1 - 2 P(U < k) >= ``confidence``; 0 if there is none.

    The number of arrangements with U = u is the coefficient of q^u in the Gaussian binomial (m + n over m), the
    product of (1 - q^(n + i)) / (1 - q^i) over i = 1 .. m. These are integers, so nothing is rounded.
    """
    most = m * n // 2 + 1
    ways = [1] + [0] * (most - 1)
    for i in range(1, m + 1):
        for u in range(most - 1, n + i - 1, -1):
            ways[u] -= ways[u - n - i]
        for u in range(i, most):
            ways[u] += ways[u - i]
    tail = (1 - confidence) / 2 * comb(m + n, m) * (1 + 1e-9)  # 1 - 0.9 is less than 0.1
    k = below = 0
    while k < most and below + ways[k] <= tail:
        below += ways[k]
        k += 1
    return k

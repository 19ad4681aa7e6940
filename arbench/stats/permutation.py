"""Is there a step at all: a permutation test over every place where one could lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERMUTATIONS = 9999
_ENOUGH = 200
"""Permutations with as large a step after which it is clear that noise explains it."""
_CELLS = 2_000_000
"""Of the permutations drawn at once."""


def chance(values: Floats, shortest: int, rng: np.random.Generator, permutations: int = PERMUTATIONS) -> float:
    """Chance that the same values in an accidental order hold a step as large as the largest there is.

    The statistic is the difference of the means before and after k, standardised, the largest over all k. It
    supposes nothing of how the values scatter.

    Args:
        values: (n,), in order, not all the same.
        shortest: values that there are on either side of k at least.
        permutations: at most; fewer where noise plainly explains it.

    Returns:
        In (0, 1], and no less than one of the permutations.

    Source: Pettitt, *A non-parametric approach to the change-point problem* (1979), of ranks.
    """
    n = len(values)
    k = np.arange(shortest, n - shortest + 1)
    scale = np.sqrt(k * (n - k) / n)
    noise = values - values.mean()

    def largest(rows: Floats) -> Floats:
        return np.asarray(np.abs(np.cumsum(rows, axis=1)[:, k - 1] / scale).max(axis=1))

    seen = largest(noise[None])[0] * (1 - 1e-9)
    as_large = done = 0
    while done < permutations and as_large < _ENOUGH:
        rows = min(permutations - done, max(_ENOUGH, done), max(1, _CELLS // n))
        drawn = rng.permuted(np.broadcast_to(noise, (rows, n)), axis=1)
        as_large += int((largest(drawn) >= seen).sum())
        done += rows
    return (as_large + 1) / (done + 1)

"""A permutation test for a step in a series, over every place where one could lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERMUTATIONS = 9999
_ENOUGH = 200
"""Number of permutations with as large a step after which noise clearly explains the step."""
_CELLS = 2_000_000
"""Largest number of values in the permutations drawn at once."""


def chance(values: Floats, shortest: int, rng: np.random.Generator, permutations: int = PERMUTATIONS) -> float:
    """Return the chance that the values in random order contain a step as large as the largest in their own order.

    The statistic is the standardised difference of the means before and after k, maximised over k. The test assumes
    nothing about the distribution of the values.

    Args:
        values: (n,), in order, not all the same.
        shortest: smallest number of values on either side of k.
        rng: source of the permutations.
        permutations: largest number of permutations; fewer are drawn where noise clearly explains the step.

    Returns:
        The p-value, in (0, 1]; at least 1 / (permutations + 1).

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

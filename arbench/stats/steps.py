"""Steps from one level to another in a series over commits.

Exact counters need no statistics: every change is a step. Durations need them. ``ruptures`` gives the candidates
(the best segmentation, by PELT). Each candidate is then tested by permutations of the values on the two adjacent
levels, which assumes only that the order of the noise is random. A step that a straight line explains about as well
is a drift and is not reported.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from arbench.stats.permutation import PERMUTATIONS, Floats, chance

LEVEL = 0.01
"""Nominal chance that a step is reported in a series of pure noise."""
SHORTEST = 2
"""Smallest number of values in a level; a single value is an outlier."""
_FENCE = 3.0
"""Distance from the level, in standard deviations, to which values are clipped."""
_LEAST_NOISE = 1e-4
"""Smallest standard deviation of the logarithms; the resolution of a clock can hide all noise."""


@dataclass(frozen=True)
class Step:
    """A change of level."""

    index: int
    """Position of the first value of the new level in the given series, counting missing values."""
    before: float
    """Level before the step: the median since the previous step."""
    after: float
    """Level after the step: the median until the next step."""
    p: float | None = None
    """Chance of such a step in pure noise, times the square of the number of steps in the series.

    None for an exact counter.
    """

    @property
    def change(self) -> float | None:
        """The relative change, 0.05 for five percent more; None if the level before was 0."""
        return self.after / self.before - 1 if self.before else None


def exact_steps(values: Sequence[float | None], tolerance: float = 0.0) -> list[Step]:
    """Return every change of an exact counter.

    Args:
        values: counters in order; None or NaN where one is missing.
        tolerance: largest relative difference from the first value of a level within the same level.
    """
    found: list[Step] = []
    level: float | None = None
    for index, value in enumerate(values):
        if value is None or math.isnan(value):
            continue
        if level is None:
            level = value
        elif abs(value - level) > tolerance * abs(level):
            found.append(Step(index, level, value))
            level = value
    return found


def noisy_steps(
    values: Sequence[float | None], level: float = LEVEL, seed: int = 0, permutations: int = PERMUTATIONS
) -> list[Step]:
    """Return the steps of a series of durations that noise does not explain.

    The candidates are the segmentation of the logarithms with the least squares, after a penalty of 2 log n variances
    per step; the variance comes from the median absolute deviation of the differences of neighbours. Before that,
    outliers are clipped to a fence around the levels, which the same segmentation of the ranks' normal scores gives.
    While some candidates are not significant, the smallest of them is dropped and its two adjacent levels are joined.
    A candidate is significant at ``level`` by permutations, and only if a straight line leaves more residual than
    the step does.

    Results of ``benchmarks/history_trial.py`` at 1%: noise in random order shows a step in 1% of series, and in 3%
    where it is skewed and the series long; drifts of 1 to 3 standard deviations, and correlated neighbours
    (correlation 0.3), show one in 3 to 18%. A step of three deviations is found in 73% of series of 12 values, 95% of
    25 and 98% of 50; a step of five in 96% and more. A machine that was slower for a week produces steps, and they
    are reported.

    Args:
        values: positive durations, in order; None or NaN where one is missing.
        level: significance level of all steps of the series together.
        seed: seed of the permutations.
        permutations: largest number of permutations for each candidate; no p-value is smaller than
            1 / (permutations + 1).

    Returns:
        The steps in order; none below ``least_length(level)`` values, however large a step is.

    Raises:
        ValueError: a duration is not positive and finite.

    Source: Killick, Fearnhead and Eckley, *Optimal detection of changepoints with a linear computational
    cost* (2012).
    """
    raw = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    where = np.flatnonzero(~np.isnan(raw))
    series = raw[where]
    if not (np.isfinite(series).all() and (series > 0).all()):
        raise ValueError("durations must be positive and finite")
    if len(series) < least_length(level) or (series == series[0]).all():
        return []
    logs = _fenced(np.log(series), _candidates(_scores(series)))
    judge = _Judge(level, permutations, np.random.default_rng(seed))
    ends = judge.confirmed(logs, _candidates(logs))
    bounds = [0, *(end for end, _ in ends), len(series)]
    medians = [float(np.median(series[a:b])) for a, b in pairwise(bounds)]
    return [
        Step(int(where[end]), before, after, p)
        for (end, p), (before, after) in zip(ends, pairwise(medians), strict=True)
    ]


def least_length(level: float = LEVEL) -> int:
    """Return the smallest number of values that can show a step at ``level``: 10 at 1%, 8 at 5%.

    Fewer values fall into the order of a step by chance too often, however large the step is.

    Raises:
        ValueError: ``level`` is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"a level must lie between 0 and 1, not {level}")
    n = 2 * SHORTEST
    while 2 / math.comb(n, n // 2) > level:
        n += 1
    return n


def _scores(values: Floats) -> Floats:
    """Return the normal scores of the ranks: the values of a normal sample of that size at the same ranks."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)), dtype=np.float64)


def _candidates(values: Floats) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the imports of ruptures warn
        import ruptures

    penalty = 2 * math.log(len(values)) * max(_noise(values), _LEAST_NOISE) ** 2
    search: Any = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST)
    found = search.fit(values[:, None]).predict(pen=penalty)
    return [int(end) for end in found[:-1]]


def _noise(values: Floats) -> float:
    """Return a standard deviation from the differences of neighbours, which steps and outliers do not affect."""
    differences = np.diff(values)
    return float(np.median(np.abs(differences - np.median(differences)))) * 1.4826 / math.sqrt(2)


def _fenced(logs: Floats, ends: list[int]) -> Floats:
    """Return the values clipped to the fence around their level and the adjacent levels."""
    reach = _FENCE * max(_noise(logs), _LEAST_NOISE)
    parts = np.split(logs, ends)
    levels = [float(np.median(part)) for part in parts]
    beside = [levels[max(i - 1, 0) : i + 2] for i in range(len(parts))]
    fenced = [np.clip(part, min(near) - reach, max(near) + reach) for part, near in zip(parts, beside, strict=True)]
    return np.asarray(np.concatenate(fenced), dtype=np.float64)


@dataclass
class _Judge:
    level: float
    permutations: int
    rng: np.random.Generator

    def confirmed(self, logs: Floats, ends: list[int]) -> list[tuple[int, float]]:
        """Return (index, p) of the candidates that remain when those that are not significant are dropped."""
        known: dict[tuple[int, int, int], tuple[float, float]] = {}
        while ends:
            bounds = [0, *ends, len(logs)]
            windows = list(zip(bounds[:-2], ends, bounds[2:], strict=True))
            for low, middle, high in windows:
                if (low, middle, high) not in known:
                    known[low, middle, high] = self._judged(logs[low:high], middle - low)
            # Squared, because both ends of each of the adjacent levels were chosen too.
            chances = [min(1.0, known[window][1] * len(ends) ** 2) for window in windows]
            unsure = [number for number, p in enumerate(chances) if p > self.level]
            if not unsure:
                return list(zip(ends, chances, strict=True))
            least = min(unsure, key=lambda number: known[windows[number]][0])
            ends = [end for number, end in enumerate(ends) if number != least]
        return []

    def _judged(self, values: Floats, place: int) -> tuple[float, float]:
        """Return the sum of squares that a step at ``place`` explains, and its p: 1 where a line explains as much.

        A step has one parameter more than a line, its place, and so must leave a residual smaller by the worth of
        one parameter (Schwarz's criterion).
        """
        time = np.arange(len(values)) - (len(values) - 1) / 2
        around = values - values.mean()
        of_line = (time @ around) ** 2 / (time @ time)
        of_step = around[:place].sum() ** 2 * len(values) / (place * (len(values) - place))
        total = around @ around
        worth = len(values) ** (1 / len(values))
        if of_step <= 0 or total - of_line <= (total - of_step) * worth:
            return float(of_step), 1.0
        return float(of_step), chance(values, SHORTEST, self.rng, self.permutations)

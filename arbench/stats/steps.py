"""Where a series over commits steps from one level to another.

Counters that are exact need no statistics: every change is a step. Times do. Candidates come from
``ruptures`` (the best segmentation, by PELT); each is then tested on the two levels beside it by
permutations of their values, which supposes nothing of the noise but that its order is accidental. A step
that a straight line explains about as well is a drift, and none.
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
"""Chance, nominally, that a series of noise alone is said to have a step."""
SHORTEST = 2
"""Values that a level has at least: one alone is an outlier."""
_FENCE = 3.0
"""Standard deviations from its level beyond which a value weighs no more."""
_LEAST_NOISE = 1e-4
"""Of logarithms: a clock's ticks can leave no noise at all."""


@dataclass(frozen=True)
class Step:
    """A change of level."""

    index: int
    """Of the first value of the new level, in the series as it was given, missing values included."""
    before: float
    """The level until then: the median since the step before."""
    after: float
    """The level from then on, until the next step."""
    p: float | None = None
    """Chance of such a step in noise alone, times the square of the number of steps in the series; None of a
    counter that is exact."""

    @property
    def change(self) -> float | None:
        """Relative change: 0.05 is five percent more. None where there was nothing before."""
        return self.after / self.before - 1 if self.before else None


def exact_steps(values: Sequence[float | None], tolerance: float = 0.0) -> list[Step]:
    """Every change of an exact counter.

    Args:
        values: in order; None or NaN where one is missing.
        tolerance: relative difference from the first value of a level up to which it is the same level.
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
    """The steps of a series of durations that noise does not explain.

    Candidates are the segmentation of the logarithms with the least squares after a penalty of 2 log n
    variances a step, the variance taken from the median absolute deviation of neighbours' differences.
    Outliers are brought within a fence around the levels first, which the same segmentation of the ranks'
    normal scores gives. Of the candidates that are not sure the smallest is dropped and the levels beside it
    are joined, until all that are left are sure at ``level``: by permutations, and because a straight line
    leaves more than the step does.

    Of ``benchmarks/history_trial.py``, at 1%: noise in an accidental order has a step in 1% of series, 3%
    where it is skewed and the series long; drifts of 1 to 3 standard deviations, and neighbours that are
    alike (correlation 0.3), in 3 to 18%. A step of three deviations is found in 73% of series of 12 values,
    95% of 25 and 98% of 50; of five, in 96% and more. A machine that was slower for a week has steps, and
    they are found.

    Args:
        values: positive durations, in order; None or NaN where one is missing.
        level: of all steps of the series together.
        seed: of the permutations.
        permutations: for each candidate at most; a chance is no less than one of them.

    Returns:
        Steps in order. None at all below ``least_length(level)`` values, however large a step there is.

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
    """The fewest values that can show a step at ``level``: 10 at 1%, 8 at 5%.

    However large a step is, noise puts as many values in that order by chance.

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
    """Normal scores of the ranks: what a normal sample of that size would have in their places."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)), dtype=np.float64)


def _candidates(values: Floats) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what ruptures imports
        import ruptures

    penalty = 2 * math.log(len(values)) * max(_noise(values), _LEAST_NOISE) ** 2
    search: Any = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST)
    found = search.fit(values[:, None]).predict(pen=penalty)
    return [int(end) for end in found[:-1]]


def _noise(values: Floats) -> float:
    """Standard deviation, from the differences of neighbours: steps do not count, nor do outliers."""
    differences = np.diff(values)
    return float(np.median(np.abs(differences - np.median(differences)))) * 1.4826 / math.sqrt(2)


def _fenced(logs: Floats, ends: list[int]) -> Floats:
    """Values no further than the fence from their level and the levels beside it."""
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
        """(index, p) of the candidates that are left when those that are not sure have been dropped."""
        known: dict[tuple[int, int, int], tuple[float, float]] = {}
        while ends:
            bounds = [0, *ends, len(logs)]
            windows = list(zip(bounds[:-2], ends, bounds[2:], strict=True))
            for low, middle, high in windows:
                if (low, middle, high) not in known:
                    known[low, middle, high] = self._judged(logs[low:high], middle - low)
            # The square: of m levels in a row, the ends of each were chosen too.
            chances = [min(1.0, known[window][1] * len(ends) ** 2) for window in windows]
            unsure = [number for number, p in enumerate(chances) if p > self.level]
            if not unsure:
                return list(zip(ends, chances, strict=True))
            least = min(unsure, key=lambda number: known[windows[number]][0])
            ends = [end for number, end in enumerate(ends) if number != least]
        return []

    def _judged(self, values: Floats, place: int) -> tuple[float, float]:
        """Squares that a step at ``place`` explains, and its p: 1 where a line explains about as much.

        A step has a place besides, and so must leave less than a line by what one more number is worth
        (Schwarz's criterion).
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

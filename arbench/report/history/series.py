"""One series a case, and its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from arbench.report.history.points import MEASURES, Measure, Placed, observations, places
from arbench.results import Case, Results
from arbench.stats.steps import LEVEL, PERMUTATIONS, Step, exact_steps, least_length, noisy_steps

_EACH, _MOST = 1000, 99_999
"""Permutations for each series, so that a step in one of many can be sure; and at most."""


@dataclass(frozen=True)
class Series:
    """One case, of times on one machine.

    ``points`` has a row for each place that has a value: ``place``, ``value`` (median of its observations),
    ``low``, ``high``, ``count`` and ``differ`` (whether an exact counter was not the same each time).
    """

    case: str
    label: str
    group: str
    machine: str
    points: pd.DataFrame
    steps: list[Step]
    """Their index is a row of ``points``."""
    short: bool
    """Whether there are too few commits for any step of time to be sure."""

    @property
    def name(self) -> str:
        """The case in words."""
        return f"{self.group} {self.label}".strip()

    def levels(self) -> list[tuple[int, int, float]]:
        """(first place, last place, level) between steps."""
        at = self.points["place"].tolist()
        starts = [0, *(step.index for step in self.steps)]
        ends = [*starts[1:], len(at)]
        middle = [float(self.points["value"][a:b].median()) for a, b in zip(starts, ends, strict=True)]
        return [(at[a], at[b - 1], level) for a, b, level in zip(starts, ends, middle, strict=True)]


@dataclass(frozen=True)
class History:
    """Every series of one measure."""

    name: str
    measure: Measure
    places: pd.DataFrame
    series: list[Series]
    machines: list[str]
    ordered: bool
    """Whether git gave the order."""


def history(
    files: Iterable[Results],
    measure: str = "seconds",
    commits: Mapping[str, Placed] | None = None,
    keep: Callable[[Case], bool] = lambda case: True,
) -> History:
    """One value a commit of every case, and the steps between levels.

    Every change of an exact counter is a step. A step of time is one that noise does not explain at 1%; of
    several cases, at a false discovery rate of 1% (Benjamini and Hochberg). Times of different machines,
    numbers of threads and versions of torch are different series.

    Args:
        files: in any order.
        measure: one of ``MEASURES``.
        commits: as ``arbench.git.ordered`` gives them; without, time orders.
        keep: which cases.
    """
    asked = MEASURES[measure]
    found = observations(files, asked, keep)
    where = places(found, commits)
    groups = [
        (
            key,
            rows.groupby("place")
            .agg(
                value=("value", "median"),
                low=("low", "min"),
                high=("high", "max"),
                count=("value", "size"),
                differ=("value", lambda values: asked.exact and values.nunique() > 1),
            )
            .reset_index(),
            rows.iloc[0],
        )
        for key, rows in found.groupby(["case", "machine"], sort=False)
    ]
    values = [points["value"].tolist() for _, points, _ in groups]
    steps = [exact_steps(one, asked.tolerance) for one in values] if asked.exact else _times(values)
    series = [
        Series(
            str(first["case"]),
            str(first["label"]),
            str(first["group"]),
            str(first["machine"]),
            points,
            some,
            short=not asked.exact and len(points) < least_length(),
        )
        for (_, points, first), some in zip(groups, steps, strict=True)
    ]
    machines = sorted({one.machine for one in series} - {""})
    return History(measure, asked, where, series, machines, bool(commits))


def _times(series: list[list[float]]) -> list[list[Step]]:
    """Steps of those series in which they hold together with all the others."""
    found = [noisy_steps(values) for values in series]
    unsure = [i for i, held in enumerate(_held(found)) if found[i] and not held]
    if unsure:  # among many: a chance that is as small needs more permutations to be told
        more = min(_MOST, _EACH * len(series))
        for i in unsure:
            found[i] = noisy_steps(series[i], permutations=max(PERMUTATIONS, more))
    return [steps if held else [] for steps, held in zip(found, _held(found), strict=True)]


def _held(found: list[list[Step]]) -> list[bool]:
    """Whether the surest step of each series holds at a false discovery rate of ``LEVEL``."""
    from scipy.stats import false_discovery_control

    least = [min((step.p or 0.0 for step in steps), default=1.0) for steps in found]
    return [bool(p <= LEVEL) for p in false_discovery_control(least)] if least else []

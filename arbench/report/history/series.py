"""One series of values per case, and the steps in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from arbench.report.history.points import Positioned, mixed_clocks, observations, places
from arbench.report.metrics import METRICS, Metric
from arbench.report.seals import tally
from arbench.results import Case, Results
from arbench.stats.steps import LEVEL, PERMUTATIONS, Step, exact_steps, least_length, noisy_steps

_EACH, _MOST = 1000, 99_999
"""Permutations per series, which resolve the p-value that one step among many needs, and their maximum."""


@dataclass(frozen=True)
class Series:
    """The values of one case; times of different machines are different series.

    Attributes:
        case: id of the case.
        label: the case in words, within its group.
        group: model and op, which share a figure.
        machine: where times were measured; empty for exact metrics.
        points: a row per place with a value: ``place``, ``value`` (median of its observations), ``low``,
            ``high``, ``count``, and ``differ`` (true where observations of an exact counter disagree).
        steps: changes of level; their index is a row of ``points``.
        short: true where the series has too few commits for any step of time to be significant.
    """

    case: str
    label: str
    group: str
    machine: str
    points: pd.DataFrame
    steps: list[Step]
    short: bool

    @property
    def name(self) -> str:
        """The case in words."""
        return f"{self.group} {self.label}".strip()

    def levels(self) -> list[tuple[int, int, float]]:
        """Return (first place, last place, level) of each level."""
        at = self.points["place"].tolist()
        starts = [0, *(step.index for step in self.steps)]
        ends = [*starts[1:], len(at)]
        middle = [float(self.points["value"][a:b].median()) for a, b in zip(starts, ends, strict=True)]
        return [(at[a], at[b - 1], level) for a, b, level in zip(starts, ends, middle, strict=True)]


@dataclass(frozen=True)
class History:
    """Every series of one metric.

    Attributes:
        metric: the metric.
        places: the commits in order, as `arbench.report.history.points.places` returns them.
        series: one per case and machine.
        machines: the machines in alphabetical order; empty for exact metrics.
        ordered: true where git gave the order of commits, false where time did.
        measured: true where the times of the measurements gave the order, because some files do not say when their
            commit was made.
        passed: the id of each case without a value, once for each file, with the reason.
        seals: what the seals of the files say; empty where no file has seals.
    """

    metric: Metric
    places: pd.DataFrame
    series: list[Series]
    machines: list[str]
    ordered: bool
    measured: bool = False
    passed: Sequence[tuple[str, str]] = ()
    seals: tuple[str, ...] = ()


def history(
    files: Iterable[Results],
    metric: str = "seconds",
    commits: Mapping[str, Positioned] | None = None,
    keep: Callable[[Case], bool] = lambda case: True,
) -> History:
    """Return one value per commit of every case, and the steps between levels.

    Every change of an exact counter is a step. A step of time is a change that noise does not explain at the
    1% level; among several cases, at a false discovery rate of 1% (Benjamini and Hochberg). Times of different
    machines, numbers of threads and versions of torch are different series.

    Args:
        files: results, in any order.
        metric: a key of `arbench.report.metrics.METRICS`.
        commits: their order, as `arbench.git.ordered` returns it; by default time gives the order, see
            `arbench.report.history.points.places`.
        keep: returns whether to include a case.
    """
    chosen = METRICS[metric]
    known = list(files)
    passed: list[tuple[str, str]] = []
    found = observations(known, chosen, keep, passed)
    where = places(found, commits)
    series_of = ["case", "machine"]
    points = found.groupby([*series_of, "place"], as_index=False).agg(
        value=("value", "median"),
        low=("low", "min"),
        high=("high", "max"),
        count=("value", "size"),
        differ=("value", "nunique"),
    )
    points["differ"] = chosen.exact & (points["differ"] > 1)
    of_series = {key: rows.drop(columns=series_of).reset_index(drop=True) for key, rows in points.groupby(series_of)}
    groups = [
        (of_series[first["case"], first["machine"]], first) for _, first in found.drop_duplicates(series_of).iterrows()
    ]
    values = [one["value"].tolist() for one, _ in groups]
    steps = [exact_steps(one, chosen.tolerance) for one in values] if chosen.exact else _times(values)
    series = [
        Series(
            str(first["case"]),
            str(first["label"]),
            str(first["group"]),
            str(first["machine"]),
            one,
            some,
            short=not chosen.exact and len(one) < least_length(),
        )
        for (one, first), some in zip(groups, steps, strict=True)
    ]
    machines = sorted({one.machine for one in series} - {""})
    by_measurement = not commits and mixed_clocks(found)
    return History(chosen, where, series, machines, bool(commits), by_measurement, passed, tuple(tally(known)))


def _times(series: list[list[float]]) -> list[list[Step]]:
    """Return the steps of each series; none where they are not significant among all series together."""
    found = [noisy_steps(values) for values in series]
    unsure = [i for i, sure in enumerate(_significant(found)) if found[i] and not sure]
    if unsure:  # a p-value small enough to stand among many needs more permutations
        more = min(_MOST, _EACH * len(series))
        for i in unsure:
            found[i] = noisy_steps(series[i], permutations=max(PERMUTATIONS, more))
    return [steps if sure else [] for steps, sure in zip(found, _significant(found), strict=True)]


def _significant(found: list[list[Step]]) -> list[bool]:
    """Return whether the best step of each series is significant at a false discovery rate of ``LEVEL``."""
    from scipy.stats import false_discovery_control

    least = [min((step.p or 0.0 for step in steps), default=1.0) for steps in found]
    return [bool(p <= LEVEL) for p in false_discovery_control(least)] if least else []

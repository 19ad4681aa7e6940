"""Stored results side by side: the first is what the others are compared with.

Runs made apart share nothing, so the ratio of two is stated with their workers as independent observations.
It bounds chance alone: identical code drifts by several percent from run to run, and no interval holds that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from arbench.report.cells import interval_of
from arbench.report.compare.environment import differences
from arbench.report.history.points import MEASURES, Measure
from arbench.report.table import order
from arbench.results import Case, Results
from arbench.stats.unpaired import UnpairedRatio, unpaired_ratio

EXACT = ("depth", "nfe", "flops", "ops", "bytes")
"""Counters that no machine changes."""
METRICS = {name: MEASURES[name] for name in ("seconds", *EXACT, "peak_bytes")}
DRIFT = (
    "Runs made apart drift: identical code differs by several percent from one to the next, by more where "
    "others use the machine, and the interval of a ratio does not hold that. To judge a change, time both "
    "versions in turns: arbench check --against COMMIT."
)


class CompareError(Exception):
    """What was asked is not compared; the message is one line for the user."""


class NothingSharedError(Exception):
    """The first file has nothing in common with the others; the message is one line for the user."""


@dataclass(frozen=True)
class Value:
    """What one file says of a case."""

    case: Case
    value: float | None
    """None where it is not known or not to be trusted."""
    interval: tuple[float, float] | None = None
    """95% over workers, or their range; of times alone."""
    ratio: UnpairedRatio | None = None
    """Over the first file's; None where there is nothing to compare, and of the first itself."""


@dataclass(frozen=True)
class Row:
    """One case in every file that has it."""

    case: Case
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Changed:
    """An exact counter, or a status, that is not what it is in the first file."""

    label: str
    case: Case
    name: str
    before: int | str
    after: int | str


@dataclass(frozen=True)
class Comparison:
    """What several files say of the cases they share."""

    labels: list[str]
    metric: str
    rows: list[Row]
    """Of the metric; empty where no two files may be compared in it."""
    changed: list[Changed]
    counted: int
    """How many values of exact counters were compared."""
    alone: Mapping[str, list[str]]
    """Cases that only this file has."""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def measure(self) -> Measure:
        """How to speak of the metric."""
        return METRICS[self.metric]


def compare(files: Mapping[str, Results], metric: str | None = None, times: bool = False) -> Comparison:
    """Compares files, the first with each other one.

    Args:
        files: by label, at least two.
        metric: one of `METRICS`; by default seconds, of those files that may be compared in time.
        times: compare seconds and peak memory of different environments too.

    Raises:
        NothingSharedError: no case of the first file is in another, or none with the metric asked for.
        CompareError: the metric depends on the environment, and none of the others is the first file's.
    """
    labels = list(files)
    first, others = labels[0], labels[1:]
    known = files[first].cases
    if not any(known.keys() & files[label].cases.keys() for label in others):
        raise NothingSharedError(f"no case of {first} is in {' or '.join(others)}")
    differ = {
        label: found
        for label in others
        if (found := differences(files[first].run.environment, files[label].run.environment))
    }
    told = [f"{label} is not where {first} was measured: {_some(found)}" for label, found in differ.items()]
    asked = metric or "seconds"
    apart = set(differ) if asked in ("seconds", "peak_bytes") and not times else set()
    if metric and apart == set(others):
        raise CompareError(f"{told[0]}; --times compares {METRICS[asked].title} all the same")
    notes = [*_sources(files), *_seeds(files), *_resumed(files)]
    if apart:
        notes.append(
            f"Not compared in {METRICS[asked].title}, exact counters only: {', '.join(sorted(apart))} "
            "(--times insists)."
        )
    kept = {label: results for label, results in files.items() if label not in apart}
    rows = _rows(kept, asked)
    if metric and not rows:
        raise NothingSharedError(f"no case of {first} has {METRICS[asked].title} there and in {' or '.join(others)}")
    if not rows and not apart:
        notes.append("No case has a time in two files.")
    changed, counted = _changed(files)
    return Comparison(
        labels,
        asked,
        rows,
        changed,
        counted,
        _alone(files),
        notes=[*notes, *([DRIFT] if asked == "seconds" and rows else [])],
        warnings=told,
    )


def value_of(case: Case, metric: str) -> float | None:
    """The metric of a case: times of what is ok, counters of all but what is inexact."""
    fit = case.status == "ok" if metric == "seconds" else case.status != "inexact"
    value: float | None = getattr(case, METRICS[metric].field)
    return value if fit else None


def _rows(files: Mapping[str, Results], metric: str) -> list[Row]:
    first = next(iter(files))
    workers = {label: _by_worker(results) for label, results in files.items()} if metric == "seconds" else {}
    rows = []
    for case in order(_union(files)):
        have = {label: results.cases[case.id] for label, results in files.items() if case.id in results.cases}
        values = {label: value_of(one, metric) for label, one in have.items()}
        if len(have) < 2:
            continue
        found = {}
        for label, one in have.items():
            ratio, mine, base = None, values[label], values.get(first)
            if label != first and mine and base:
                each = [workers[name].get(case.id) if workers else None for name in (label, first)]
                ratio = unpaired_ratio(each[0] or [mine], each[1] or [base])
            interval = interval_of(one) if metric == "seconds" and mine is not None else None
            found[label] = Value(one, mine, interval, ratio)
        rows.append(Row(case, found))
    compared = any(value.ratio for row in rows for value in row.values.values())
    return [row for row in rows if _known(row)] if compared else []


def _known(row: Row) -> bool:
    return any(value.value is not None for value in row.values.values())


def _by_worker(results: Results) -> dict[str, list[float]]:
    """Of each case the medians of its workers, where the file holds their samples."""
    seconds: dict[str, dict[int, list[float]]] = {}
    for line in results.samples:
        seconds.setdefault(line.case, {}).setdefault(line.worker, []).extend(line.seconds)
    return {case: [median(each) for each in found.values() if each] for case, found in seconds.items()}


def _changed(files: Mapping[str, Results]) -> tuple[list[Changed], int]:
    (_, base), *others = files.items()
    changed, counted = [], 0
    for label, results in others:
        for before in order(base.cases.values()):
            after = results.cases.get(before.id)
            if after is None:
                continue
            if before.status != after.status:
                changed.append(Changed(label, before, "status", before.status, after.status))
            for name in EXACT:
                was, now = value_of(before, name), value_of(after, name)
                if was is None or now is None:
                    continue
                counted += 1
                if was != now:
                    changed.append(Changed(label, before, name, int(was), int(now)))
    return changed, counted


def _alone(files: Mapping[str, Results]) -> dict[str, list[str]]:
    found = {}
    for label, results in files.items():
        elsewhere = {case for other, each in files.items() if other != label for case in each.cases}
        if mine := [case for case in results.cases if case not in elsewhere]:
            found[label] = mine
    return found


def _union(files: Mapping[str, Results]) -> Iterable[Case]:
    cases: dict[str, Case] = {}
    for results in files.values():
        for case in results.cases.values():
            cases.setdefault(case.id, case)
    return cases.values()


def _sources(files: Mapping[str, Results]) -> list[str]:
    return [
        f"{label} is of {source}: one process, one case after the other."
        for label, results in files.items()
        if (source := results.run.plan.get("source")) == "pytest-benchmark"
    ]


def _seeds(files: Mapping[str, Results]) -> list[str]:
    seeds = [str(results.run.seed) for results in files.values()]
    if len(set(seeds)) == 1:
        return []
    return [f"Seeds differ ({', '.join(seeds)}): counters of methods that depend on values may too."]


def _resumed(files: Mapping[str, Results]) -> list[str]:
    return [
        f"{label} was resumed where this had changed: {_some(resume.changed)}."
        for label, results in files.items()
        for resume in results.resumes
        if resume.changed
    ]


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

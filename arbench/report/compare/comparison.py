"""The comparison of stored results with the first of them.

Separate runs share no process, so the ratio of two runs treats the workers of both as independent
observations. Its interval covers chance alone: identical code drifts by several percent from run to run, and
no interval includes that drift.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from arbench.report.compare.environment import differences
from arbench.report.labels import interval_of
from arbench.report.metrics import METRICS, Metric
from arbench.report.passed import passed_over, why_none
from arbench.report.seals import of_files
from arbench.report.table import order
from arbench.results import COUNTERS, Case, Results
from arbench.stats.unpaired import UnpairedRatio, unpaired_ratio

DRIFT = (
    "Separate runs drift: identical code differs by several percent from run to run, by more on a shared "
    "machine, and the interval of a ratio does not include that. To judge a change, time both versions in "
    "alternation: arbench check --against COMMIT."
)


class CompareError(Exception):
    """A request that cannot be compared; the message is one line for the user."""


class NothingSharedError(Exception):
    """The first file shares nothing with the others; the message is one line for the user."""


@dataclass(frozen=True)
class Value:
    """The metric of a case in one file.

    Attributes:
        case: the case in that file.
        value: the metric; None where it is unknown or cannot be trusted.
        interval: of a time, its 95% interval over workers, or their range.
        ratio: the value over that of the first file; None in the first file, and where one of them is missing.
    """

    case: Case
    value: float | None
    interval: tuple[float, float] | None = None
    ratio: UnpairedRatio | None = None


@dataclass(frozen=True)
class Row:
    """One case in every file that contains it.

    Attributes:
        case: the case as the first of these files has it.
        values: the metric by file label.
    """

    case: Case
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Changed:
    """An exact counter or a status that differs from the first file.

    Attributes:
        label: the file that differs.
        case: the case in the first file.
        name: the counter, or ``status``.
        before: the value in the first file.
        after: the value in the other file.
    """

    label: str
    case: Case
    name: str
    before: int | str
    after: int | str


@dataclass(frozen=True)
class Comparison:
    """Several files compared in the cases they share.

    Attributes:
        labels: the files, the first one being the reference.
        metric: the metric compared.
        rows: its values; empty where no two files are comparable in it.
        changed: every counter and status that differs.
        counted: how many pairs of exact counters were compared.
        alone: by file, the ids of cases that only this file contains.
        notes: facts that a reader needs to judge the comparison.
        warnings: differences between the environments.
    """

    labels: list[str]
    metric: Metric
    rows: list[Row]
    changed: list[Changed]
    counted: int
    alone: Mapping[str, list[str]]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def compare(files: Mapping[str, Results], metric: str | None = None, times: bool = False) -> Comparison:
    """Compare the first file with each other file.

    Args:
        files: at least two, by label.
        metric: a key of `arbench.report.metrics.METRICS`. By default seconds, for the files measured in the
            environment of the first one.
        times: compare seconds and peak memory even where the environments differ.

    Raises:
        NothingSharedError: no case of the first file is in another file, or none has the requested metric.
        CompareError: the requested metric depends on the environment, and every environment differs.
    """
    first, *others = files
    if not any(files[first].cases.keys() & files[label].cases.keys() for label in others):
        raise NothingSharedError(f"no case of {first} is in {' or '.join(others)}")
    chosen = METRICS[metric or "seconds"]
    elsewhere = _elsewhere(files)
    apart = set() if chosen.portable or times else set(elsewhere)
    if metric and apart == set(others):
        raise CompareError(f"{next(iter(elsewhere.values()))}; add --times to compare {chosen.title} anyway")
    rows = _rows({label: results for label, results in files.items() if label not in apart}, chosen)
    if metric and not rows:
        raise NothingSharedError(f"no case has {chosen.title} both in {first} and in {' or '.join(others)}")
    changed, counted = _changed(files)
    notes = [*_sources(files), *_seeds(files), *_resumed(files), *of_files(files)]
    if (line := passed_over(_without(files, apart, chosen))) is not None:
        notes.append(f"{line}.")
    if apart:
        names = ", ".join(sorted(apart))
        notes.append(f"Not compared in {chosen.title}, only in exact counters: {names} (see --times).")
    elif not rows:
        notes.append("No case has a time in two files.")
    if rows and not chosen.exact:
        notes.append(DRIFT)
    return Comparison(
        list(files), chosen, rows, changed, counted, _alone(files), notes=notes, warnings=list(elsewhere.values())
    )


def _elsewhere(files: Mapping[str, Results]) -> dict[str, str]:
    """Return a warning for each file that was measured in another environment than the first."""
    (first, base), *others = files.items()
    found = {}
    for label, results in others:
        if differ := differences(base.run.environment, results.run.environment):
            found[label] = f"{label} was not measured in the environment of {first}: {_some(differ)}"
    return found


def _rows(files: Mapping[str, Results], metric: Metric) -> list[Row]:
    first = next(iter(files))
    workers = {} if metric.exact else {label: _by_worker(results) for label, results in files.items()}
    rows = []
    for case in order(_union(files)):
        found = {label: results.cases[case.id] for label, results in files.items() if case.id in results.cases}
        if len(found) < 2:
            continue
        base = metric.value(found[first]) if first in found else None
        values = {}
        for label, one in found.items():
            ratio, mine = None, metric.value(one)
            if label != first and mine and base:
                mine_by_worker, base_by_worker = (workers.get(name, {}).get(case.id) for name in (label, first))
                ratio = unpaired_ratio(mine_by_worker or [mine], base_by_worker or [base])
            interval = None if metric.exact or mine is None else interval_of(one)
            values[label] = Value(one, mine, interval, ratio)
        rows.append(Row(case, values))
    compared = any(value.ratio for row in rows for value in row.values.values())
    return [row for row in rows if _known(row)] if compared else []


def _without(files: Mapping[str, Results], apart: Collection[str], metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield each compared case of which a table shows no value and no status, with the reason.

    Args:
        files: the files, by label.
        apart: labels of those that are not compared in the metric.
        metric: the metric.
    """
    for case in order(_union(files)):
        compared = {label: one.cases for label, one in files.items() if label not in apart}
        found = {label: cases[case.id] for label, cases in compared.items() if case.id in cases}
        missing = {label: one for label, one in found.items() if metric.value(one) is None}
        for label, one in missing.items() if len(found) > 1 else ():
            if len(missing) == len(found) or one.status == "ok":
                yield f"{case.id} in {label}", why_none(metric, one)


def _known(row: Row) -> bool:
    return any(value.value is not None for value in row.values.values())


def _by_worker(results: Results) -> dict[str, list[float]]:
    """Return the medians of each case's workers, where the file contains their samples."""
    seconds: dict[str, dict[int, list[float]]] = {}
    for line in results.samples:
        seconds.setdefault(line.case, {}).setdefault(line.worker, []).extend(line.seconds)
    return {case: [median(each) for each in found.values() if each] for case, found in seconds.items()}


def _changed(files: Mapping[str, Results]) -> tuple[list[Changed], int]:
    """Return what differs from the first file, and how many pairs of counters were compared."""
    (_, base), *others = files.items()
    changed, counted = [], 0
    for label, results in others:
        for before in order(base.cases.values()):
            after = results.cases.get(before.id)
            if after is None:
                continue
            if before.status != after.status:
                changed.append(Changed(label, before, "status", before.status, after.status))
            for name in COUNTERS:
                was, now = METRICS[name].value(before), METRICS[name].value(after)
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
        f"{label} comes from {source}: one process, one case after the other."
        for label, results in files.items()
        if (source := results.run.plan.get("source")) == "pytest-benchmark"
    ]


def _seeds(files: Mapping[str, Results]) -> list[str]:
    seeds = [str(results.run.seed) for results in files.values()]
    if len(set(seeds)) == 1:
        return []
    return [f"Seeds differ ({', '.join(seeds)}), so counters of methods that depend on values may differ too."]


def _resumed(files: Mapping[str, Results]) -> list[str]:
    return [
        f"{label} was resumed after these facts had changed: {_some(resume.changed)}."
        for label, results in files.items()
        for resume in results.resumes
        if resume.changed
    ]


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

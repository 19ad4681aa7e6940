"""Everything that a page tells of one case: its samples, its interval, why it stopped, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from arbench.border.printable import on_one_line
from arbench.report.facts import Pairs
from arbench.report.labels import (
    STATUS,
    STATUS_MEANING,
    SharedSettings,
    interval_of,
    is_kernel,
    method_key,
    model_label,
)
from arbench.report.page.commands import Command, case_command
from arbench.report.page.strip import strip
from arbench.report.quantities import Cell, Column, Quantity, in_one_unit
from arbench.report.table import Table, order
from arbench.results import Case, Results
from arbench.stats import format_interval, format_seconds

STOPPED = {
    "target": "the 95% interval of every case was narrow enough",
    "plateau": "more samples no longer narrowed the interval",
    "budget": "the time budget was spent",
    "rounds": "the rounds that were asked for were done",
    "interrupted": "the run was interrupted",
}


@dataclass(frozen=True)
class Detail:
    """One case in detail.

    Attributes:
        anchor: the id of its part of the page.
        method: what a switch calls its method.
        title: model, op, method and N.
        outcome: its time, or its status.
        facts: names and values.
        strip: its samples as a picture; None where it has none.
        workers: the samples of each worker; None where it has none.
        command: the command that measures it; None where the run had none.
    """

    anchor: str
    method: str
    title: str
    outcome: str
    facts: Pairs
    strip: Markup | None
    workers: Table | None
    command: Command | None


def anchors(results: Results, prefix: str = "") -> dict[str, str]:
    """Return the id of the part of the page that tells of each case, by the id of the case."""
    return {case.id: f"{prefix}case-{i}" for i, case in enumerate(order(results.cases.values()), 1)}


def details(results: Results, places: Mapping[str, str], colors: Mapping[str, str]) -> list[Detail]:
    """Return the details of every case, in the order of the tables.

    Args:
        results: what was measured.
        places: the ids, as `anchors` returns them.
        colors: CSS colours by method.
    """
    shared = SharedSettings(results)
    return [
        _detail(case, results, shared, places[case.id], colors.get(method_key(case), "var(--ink)"))
        for case in order(results.cases.values())
    ]


def _detail(case: Case, results: Results, shared: SharedSettings, anchor: str, color: str) -> Detail:
    workers: dict[int, list[float]] = {}
    for line in results.timed.get(case.id, []):
        workers.setdefault(line.worker, []).extend(line.seconds)
    picture = table = None
    if workers and case.median_s is not None:
        workers = dict(sorted(workers.items()))
        picture = strip(workers, case.median_s, interval_of(case), color)
        table = _workers(workers)
    return Detail(
        anchor,
        method_key(case),
        _title(case, shared),
        _outcome(case),
        _facts(case, workers),
        picture,
        table,
        case_command(case, results.run),
    )


def _title(case: Case, shared: SharedSettings) -> str:
    size = on_one_line(case.preset) if is_kernel(case) else f"N = {case.n:,}"
    model = on_one_line(case.model) if is_kernel(case) else model_label(case)
    return f"{model} {case.op} {shared.method_label(case)}, {size}"


def _outcome(case: Case) -> str:
    if case.status != "ok" or case.median_s is None:
        return STATUS[case.status]
    return format_seconds(case.median_s, interval_of(case)) + (", unstable" if case.unstable else "")


def _facts(case: Case, workers: Mapping[int, list[float]]) -> Pairs:
    found: Pairs = []
    if case.status != "ok":
        found.append((STATUS[case.status], STATUS_MEANING.get(case.status, "")))
        if case.error:
            found.append(("reason", on_one_line(case.error)))
    if case.median_s is not None:
        found.append(("median", format_seconds(case.median_s, interval_of(case))))
        if (ends := interval_of(case)) is not None:
            what = "95% interval" if case.ci95_s else f"range over {case.workers} workers"
            found.append((what, _ends(case.median_s, ends)))
    if workers:
        outliers = f", {case.outliers:,} of them outliers" if case.outliers else ""
        found.append(("samples", f"{case.samples:,} by {case.workers:,} workers{outliers}; none is left out"))
    if case.cold_s is not None:
        found.append(("first call", format_seconds(case.cold_s)))
    if case.stopped_by is not None:
        found.append(("stopped", STOPPED[case.stopped_by]))
    if (how := (case.verified or {}).get("how")) is not None:
        found.append(("verified", on_one_line(str(how))))
    return found


def _ends(value: float, ends: tuple[float, float]) -> str:
    unit = format_seconds(value, ends).rpartition(" ")[2]
    return f"{format_interval(value, ends, 's')} {unit}"


def _workers(workers: Mapping[int, list[float]]) -> Table:
    times = [Column(name, like="seconds") for name in ("median", "fastest", "slowest")]
    rows: list[list[Cell]] = [
        [
            str(worker + 1),
            f"{len(values):,}",
            *(Quantity(v, "s", (v * 0.995, v * 1.005)) for v in (median(values), min(values), max(values))),
        ]
        for worker, values in workers.items()
    ]
    return Table("", *in_one_unit([Column("worker"), Column("samples"), *times], rows))

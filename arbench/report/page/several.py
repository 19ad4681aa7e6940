"""The page of several runs: their answers and maps first, then what they share, then each run whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from arbench.border.printable import on_one_line
from arbench.report.compare import CaseNames, NothingSharedError, alone, changed_table, compare, counted, tables
from arbench.report.compare.figures import draw as draw_ratios
from arbench.report.figures.drawing import Drawing, Picture
from arbench.report.history.points import machine_of
from arbench.report.html import framed
from arbench.report.labels import GROWTH, SharedSettings, listed, model_label
from arbench.report.models.profiles import Told
from arbench.report.models.samples import Exhibition
from arbench.report.models.verdicts import sentences
from arbench.report.page.run import contents, tally
from arbench.report.page.switches import switches
from arbench.report.quantities import Column
from arbench.report.seals import state
from arbench.report.table import Table, order
from arbench.results import Results

_WIDTH = 10_000
"""Characters per line: one table of all runs."""


@dataclass(frozen=True)
class Shown:
    """A run on a page with others.

    Attributes:
        results: what was measured.
        drawings: its figures.
        samples: the samples that lie beside its results.
        profiles: the profiles of its results in words.
    """

    results: Results
    drawings: Sequence[Drawing]
    samples: Exhibition = field(default_factory=Exhibition)
    profiles: Sequence[Told] = ()


def pages(runs: Mapping[str, Shown]) -> str:
    """Return the page of several runs.

    Args:
        runs: the runs by label, the first one being that with which the others are compared.
    """
    files = {label: one.results for label, one in runs.items()}
    shown = switches(list(files.values()))
    parts = []
    for number, (label, one) in enumerate(runs.items(), 1):
        prefix = f"run{number}-"
        drawings = [replace(drawing, name=prefix + drawing.name) for drawing in one.drawings]
        parts.append({**contents(one.results, drawings, one.samples, shown, one.profiles, prefix), "label": label})
    return framed(
        "several.html.j2", growth=GROWTH, shown=shown, runs=parts, overview=overview(files), shared=_shared(files)
    )


def overview(files: Mapping[str, Results]) -> Table:
    """Return one row per run: where, when and what it measured, and how its claims and its file fared."""
    names = ("run", "machine", "settings", "started", "measured", "cases", "ok", "claims", "git", "file")
    columns = [
        Column(name, number=name in ("cases", "ok"), wraps=name in ("machine", "settings", "measured"))
        for name in names
    ]
    return Table("", columns, [[label, *_row(results)] for label, results in files.items()])


def _row(results: Results) -> list[str]:
    cases = order(results.cases.values())
    device = cases[0].device if cases else "cpu"
    measured = dict.fromkeys(
        on_one_line(case.model) if case.op in ("forward", "backward") else model_label(case) for case in cases
    )
    claims = tally(sentences(results))
    return [
        machine_of(results.run, device),
        SharedSettings(results).of_all,
        results.run.started_at[:10],
        listed(measured),
        f"{len(cases):,}",
        f"{sum(case.status in ('ok', 'checked') for case in cases):,}",
        ", ".join(f"{count} {verdict}" for verdict, count in claims.items()) or "none judged",
        results.run.git or "unknown",
        state(results),
    ]


@dataclass(frozen=True)
class Shared:
    """The cases that several runs share.

    Attributes:
        tables: the compared times, and the counters that differ.
        figures: those of the comparison.
        warnings: differences between the environments.
        notes: facts that a reader needs to judge the comparison.
    """

    tables: Sequence[Table] = ()
    figures: Sequence[Picture] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


def _shared(files: Mapping[str, Results]) -> Shared:
    try:
        found = compare(files)
    except NothingSharedError:
        first = next(iter(files))
        return Shared(notes=[f"No case of {first} is in another run: there is nothing to compare case by case."])
    names = CaseNames(
        (case for results in files.values() for case in results.cases.values()), next(iter(files.values()))
    )
    changed = changed_table(found, names)
    drawings = [replace(one, name=f"shared-{one.name}") for one in draw_ratios(found, names)]
    return Shared(
        [*tables(found, names, _WIDTH), *([changed] if changed else [])],
        [one.picture() for one in drawings],
        found.warnings,
        [counted(found), *found.notes, *alone(found, 3)],
    )

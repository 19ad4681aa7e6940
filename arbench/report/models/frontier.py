"""Quality beside speed: bits of held-out data against seconds, for models with trained weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arbench.border.printable import on_one_line
from arbench.report.labels import model_label, of_models
from arbench.report.models.passes import trained_of
from arbench.report.models.taxonomy import time_per_element
from arbench.report.quantities import NONE, Cell, Column, in_one_unit
from arbench.report.table import Table, order
from arbench.results import Case, Op, Results, Trained

TITLE = "Quality beside speed"
JOBS: tuple[Op, Op] = ("score", "sample")
_WORDS: dict[Op, str] = {"sample": "sampling", "score": "scoring"}


@dataclass(frozen=True)
class Entry:
    """A model with trained weights, and the fastest way to sample from it and to score with it.

    Attributes:
        label: the model's, as ``model_label`` gives it.
        trained: facts about its weights.
        best: by op, the case with the least time per element at the largest N that was timed.
    """

    label: str
    trained: Trained
    best: dict[Op, Case]

    def seconds(self, op: Op) -> float | None:
        """Return the seconds of an element, or None where the op was not timed."""
        case = self.best.get(op)
        return None if case is None or case.median_s is None else case.median_s / case.n / case.batch


def entries(results: Results) -> list[list[Entry]]:
    """Return the models with trained weights, together where their bits can be compared.

    Bits can be compared where they are of the same data in the same unit, and of data that was held out.
    """
    cases: dict[tuple[str, str], list[Case]] = {}
    for case in order(of_models(results)):
        if case.status == "ok" and case.median_s:
            cases.setdefault((case.model, case.preset), []).append(case)
    groups: dict[tuple[str, str], list[Entry]] = {}
    for known in cases.values():
        trained = trained_of(known[0], results)
        if trained is None or not trained.held_out:
            continue
        best = {op: _best([case for case in known if case.op == op]) for op in JOBS}
        entry = Entry(model_label(known[0]), trained, {op: case for op, case in best.items() if case is not None})
        groups.setdefault((trained.data_sha256 or trained.data, trained.unit), []).append(entry)
    return [sorted(group, key=lambda one: one.trained.bits) for group in groups.values()]


def _best(cases: list[Case]) -> Case | None:
    """Return the fastest case at the largest N and the smallest batch; scoring a flow's own samples does not count."""
    others = [case for case in cases if case.method != "own_samples"]
    if not others:
        return None
    n, batch = max(case.n for case in others), min(case.batch for case in others)
    same = [case for case in others if case.n == n and case.batch == batch]
    return min(same or others, key=lambda case: (case.median_s or math.inf) / case.n)


def frontier(group: Sequence[Entry], op: Op) -> list[Entry]:
    """Return the entries that no other one beats in both bits and seconds, the fastest first."""
    timed = [one for one in group if one.seconds(op) is not None]
    kept: list[Entry] = []
    for one in sorted(timed, key=lambda one: (one.seconds(op) or 0.0, one.trained.bits)):
        if not kept or one.trained.bits < kept[-1].trained.bits:
            kept.append(one)
    return kept


def teacher_of(student: Entry, group: Sequence[Entry]) -> Entry | None:
    """Return the entry that a distilled one was taught by, if it is in the group."""
    taught = student.trained.teacher
    if taught is None:
        return None
    name = taught.partition("@")[0]
    return next((one for one in group if one is not student and one.label.partition("@")[0] == name), None)


def frontier_table(results: Results) -> Table | None:
    """Return bits and seconds of each trained model; None without any."""
    groups = entries(results)
    if not groups:
        return None
    columns = [
        Column("model", number=False, wraps=True),
        Column("bits"),
        Column("sampled by", number=False),
        Column("sampling an element"),
        Column("scored by", number=False),
        Column("scoring an element"),
        Column("on the frontier", number=False),
    ]
    rows: list[list[Cell]] = []
    notes = []
    for group in groups:
        said = group[0].trained
        notes.append(f"{', '.join(one.label for one in group)}: {said.unit}, held-out part of {said.data}")
        on = {op: {one.label for one in frontier(group, op)} for op in JOBS}
        for one in group:
            places = [_WORDS[op] for op in JOBS if one.label in on[op]]
            cells: list[Cell] = [on_one_line(one.label), f"{one.trained.bits:.3f}"]
            for op in reversed(JOBS):
                case = one.best.get(op)
                cells += [NONE, NONE] if case is None else [f"{case.method}, N = {case.n:,}", time_per_element(case)]
            rows.append([*cells, " and ".join(places) or "no"])
            if (teacher := teacher_of(one, group)) is not None:
                notes.append(f"{one.label} was distilled from {teacher.label}")
    notes.append(
        "Frontier: no other model of the same data has fewer bits in less time. Times are those of the fastest method "
        "at the largest N that was timed."
    )
    return Table(TITLE, *in_one_unit(columns, rows), notes)

"""Quality beside speed: bits of held-out data against seconds, for models with trained weights."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from arbench.border.printable import on_one_line
from arbench.report.labels import model_label, of_models, rounded_weights
from arbench.report.models.passes import trained_of
from arbench.report.models.taxonomy import time_per_element
from arbench.report.quantities import NONE, Cell, Column, in_one_unit
from arbench.report.table import Table, order
from arbench.results import OWN_SAMPLES, Case, Op, Results, Trained

TITLE = "Quality beside speed"
JOBS: tuple[Op, Op] = ("score", "sample")
_WORDS: dict[Op, str] = {"sample": "sampling", "score": "scoring"}


@dataclass(frozen=True)
class Entry:
    """A model with trained weights, and the fastest way to sample from it and to score with it.

    Attributes:
        label: the model's, as ``model_label`` gives it.
        trained: facts about its weights.
        cases: by op, the cases that were timed with these weights.
        best: by op, the one with the least time per element, in the settings that the group is compared in, or at the
            model's largest N where it was not timed in these.
        compared: ops that were timed in the group's settings.
    """

    label: str
    trained: Trained
    cases: dict[Op, list[Case]]
    best: dict[Op, Case] = field(default_factory=dict)
    compared: frozenset[Op] = frozenset()

    def seconds(self, op: Op) -> float | None:
        """Return the seconds of an element, or None where the op was not timed as in the rest of the group."""
        return _element_s(self.best[op]) if op in self.compared else None


Settings = tuple[str, str, int, int]
"""Device, dtype, batch and N of a case."""


def entries(results: Results) -> list[list[Entry]]:
    """Return the models with trained weights, together where their bits can be compared.

    Bits can be compared where they are of the same elements of the same data in the same unit, and of data that was
    held out.
    """
    cases: dict[tuple[str, str], list[Case]] = {}
    for case in order(of_models(results)):
        if case.status == "ok" and case.median_s:
            cases.setdefault((case.model, case.preset), []).append(case)
    groups: dict[tuple[str, str, int | None], list[Entry]] = {}
    for known in cases.values():
        trained = trained_of(known[0], results)
        if trained is None or not trained.held_out:
            continue
        entry = Entry(model_label(known[0]), trained, {op: [one for one in known if _counts(one, op)] for op in JOBS})
        key = trained.data_sha256 or trained.data, trained.unit, trained.elements
        groups.setdefault(key, []).append(entry)
    return [sorted(_compared(group), key=lambda one: one.trained.bits) for group in groups.values()]


def _counts(case: Case, op: Op) -> bool:
    """Return whether a case has the bits of its weights: not with rounded ones, nor of a flow's own samples."""
    exact = case.exactness != "approximate" and rounded_weights(case) is None
    return case.op == op and exact and case.method != OWN_SAMPLES


def _compared(group: Sequence[Entry]) -> list[Entry]:
    """Return the entries with the cases in which they are compared.

    For each op these are of one device, dtype, batch and N: those in which the most models were timed; of several, the
    smallest batch, and then the largest N.
    """
    chosen = {op: _settings([one.cases[op] for one in group]) for op in JOBS}
    found = []
    for one in group:
        same = {op: [case for case in one.cases[op] if _settings_of(case) == chosen[op]] for op in JOBS}
        best = {op: _best(same[op] or one.cases[op]) for op in JOBS if one.cases[op]}
        found.append(replace(one, best=best, compared=frozenset(op for op in JOBS if same[op])))
    return found


def _settings(models: Sequence[Sequence[Case]]) -> Settings | None:
    timed: dict[Settings, int] = defaultdict(int)
    for cases in models:
        for settings in dict.fromkeys(map(_settings_of, cases)):
            timed[settings] += 1
    return max(timed, key=lambda one: (timed[one], -one[2], one[3]), default=None)


def _settings_of(case: Case) -> Settings:
    return case.device, case.dtype, case.batch, case.n


def _element_s(case: Case) -> float:
    return (case.median_s or math.inf) / case.n / case.batch


def _best(cases: Sequence[Case]) -> Case:
    """Return the fastest case at the largest N, and of the smallest batch there."""
    n = max(case.n for case in cases)
    batch = min(case.batch for case in cases if case.n == n)
    return min((case for case in cases if (case.n, case.batch) == (n, batch)), key=_element_s)


def frontier(group: Sequence[Entry], op: Op) -> list[Entry]:
    """Return the entries that no other one beats in both bits and seconds, the fastest first."""
    timed = [one for one in group if one.seconds(op) is not None]
    kept: list[Entry] = []
    for one in sorted(timed, key=lambda one: (one.seconds(op) or 0.0, one.trained.bits)):
        if not kept or one.trained.bits < kept[-1].trained.bits:
            kept.append(one)
    return kept


def teacher_of(student: Entry, group: Sequence[Entry]) -> Entry | None:
    """Return the entry that a distilled one was taught by, with the same weights, if it is in the group."""
    taught = student.trained.teacher
    return next((one for one in group if one is not student and one.label == taught), None)


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
        first = group[0].trained
        notes.append(f"{', '.join(one.label for one in group)}: {first.unit}, held-out part of {first.data}")
        on = {op: {one.label for one in frontier(group, op)} for op in JOBS}
        for one in group:
            places = [_WORDS[op] for op in JOBS if one.label in on[op]]
            apart = [_WORDS[op] for op in JOBS if op in one.best and op not in one.compared]
            cells: list[Cell] = [on_one_line(one.label), f"{one.trained.bits:.3f}"]
            for op in reversed(JOBS):
                case = one.best.get(op)
                cells += [NONE, NONE] if case is None else [f"{case.method}, N = {case.n:,}", time_per_element(case)]
            said = " and ".join(places) or ("no" if one.compared else NONE)
            rows.append([*cells, said])
            if apart:
                out = " and ".join(apart)
                notes.append(f"{one.label} was not timed as the others were: the frontier leaves out its {out}")
            if (teacher := teacher_of(one, group)) is not None:
                notes.append(f"{one.label} was distilled from {teacher.label}")
    notes.append(
        "Frontier: no other model of the same data has fewer bits in less time. Times are those of the fastest method "
        "at the N, batch, device and dtype at which the most of these models were timed; bits are those of the "
        "checkpoint in the dtype that it was judged in."
    )
    return Table(TITLE, *in_one_unit(columns, rows), notes)

"""Quality beside speed: bits, or translations that differ, against seconds, for models with trained weights."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from arbench.border.printable import on_one_line
from arbench.report.labels import interval_of, model_label, of_models, rounded_weights
from arbench.report.models.passes import trained_of
from arbench.report.models.taxonomy import time_per_element
from arbench.report.quantities import NONE, Cell, Column, in_one_unit
from arbench.report.table import Table, order
from arbench.results import OWN_SAMPLES, Case, Decoded, Op, Results, Trained
from arbench.stats.intervals import proportion_interval

TITLE = "Quality beside speed"
DIFFERING = "% of held-out translations that differ from the reference"
JOBS: tuple[Op, Op] = ("score", "sample")
_WORDS: dict[Op, str] = {"sample": "sampling", "score": "scoring"}


@dataclass(frozen=True)
class Measure:
    """Quality that can be compared: of the same held-out data, in the same unit.

    Attributes:
        unit: unit of bits, or what percentages are of.
        data: digest of the data, or its name where that is unknown.
        elements: number of elements that bits are the average of, where it is known.
        pairs: number of pairs that were translated; None for bits.
    """

    unit: str
    data: str
    elements: int | None = None
    pairs: int | None = None


@dataclass(frozen=True)
class Entry:
    """A model with trained weights, and the fastest way to sample from it and to score with it.

    Attributes:
        label: the model's, as ``model_label`` gives it.
        trained: facts about its weights.
        measure: what its quality is.
        cases: by op, the cases that were timed with these weights.
        best: by op, the one with the least time per element, in the settings that the group is compared in, or at the
            model's largest N where it was not timed in these.
        compared: ops that were timed in the group's settings.
    """

    label: str
    trained: Trained
    measure: Measure
    cases: dict[Op, list[Case]]
    best: dict[Op, Case] = field(default_factory=dict)
    compared: frozenset[Op] = frozenset()

    @property
    def cost(self) -> float:
        """Bits of an element, or translations that differ in percent: the less, the better."""
        if self.measure.pairs is None:
            return self.trained.bits
        return self.trained.translations[0].differing

    @property
    def shown(self) -> str:
        """The cost as text, without its unit."""
        pairs = self.measure.pairs
        return f"{self.cost:.3f}" if pairs is None else f"{self.cost:.{2 if pairs >= 1000 else 1}f}"

    def seconds(self, op: Op) -> float | None:
        """Return the seconds of an element, or None where the op was not timed as in the rest of the group."""
        if op not in self.compared:
            return None
        case = self.best[op]
        return (case.median_s or math.inf) / self.size(case) / case.batch

    def least(self, op: Op) -> float:
        """Return the lower end of the interval of an element's seconds, or of the range of the workers."""
        return self._end(op, 0)

    def most(self, op: Op) -> float:
        """Return the upper end."""
        return self._end(op, 1)

    def _end(self, op: Op, side: int) -> float:
        case = self.best[op]
        ends = interval_of(case)
        return ends[side] / self.size(case) / case.batch if ends else self.seconds(op) or math.inf

    def size(self, case: Case) -> int:
        """Return the elements of an event of a case; of a translation, its symbols."""
        return case.n if self.measure.pairs is None else -(-case.n // self.trained.per_symbol)

    def settings(self, case: Case) -> Settings:
        """Return the settings of a case."""
        return case.device, case.dtype, case.batch, self.size(case)


Settings = tuple[str, str, int, int]
"""Device, dtype, batch and size of the events of a case."""


def entries(results: Results) -> list[list[Entry]]:
    """Return the models with trained weights, together where their quality can be compared.

    Bits can be compared where they are of the same elements of the same data in the same unit, and of data that was
    held out. Models that translate are compared by the translations of the same held-out pairs that differ from their
    reference, since a parallel model has bits of fertilities too; where several have bits of the same elements, by
    these as well.
    """
    cases: dict[tuple[str, str], list[Case]] = {}
    for case in order(of_models(results)):
        if case.status == "ok" and case.median_s:
            cases.setdefault((case.model, case.preset), []).append(case)
    groups: dict[Measure, list[Entry]] = {}
    for known in cases.values():
        trained = trained_of(known[0], results)
        if trained is None or not trained.held_out:
            continue
        counted: dict[Op, list[Case]] = {op: [one for one in known if _counts(one, op)] for op in JOBS}
        for measure in _measures(trained):
            groups.setdefault(measure, []).append(Entry(model_label(known[0]), trained, measure, counted))
    kept = [
        group
        for measure, group in groups.items()
        if measure.pairs is not None or len(group) > 1 or not group[0].trained.translations
    ]
    return [sorted(_compared(group), key=lambda one: one.cost) for group in kept]


def _measures(trained: Trained) -> list[Measure]:
    data = trained.data_sha256 or trained.data
    bits = Measure(trained.unit, data, trained.elements)
    if not trained.translations:
        return [bits]
    return [Measure(DIFFERING, data, pairs=trained.translations[0].pairs), bits]


def _counts(case: Case, op: Op) -> bool:
    """Return whether a case has the bits of its weights: not with rounded ones, nor of a flow's own samples."""
    exact = case.exactness != "approximate" and rounded_weights(case) is None
    return case.op == op and exact and case.method != OWN_SAMPLES


def _compared(group: Sequence[Entry]) -> list[Entry]:
    """Return the entries with the cases in which they are compared.

    For each op these are of one device, dtype, batch and size: those in which the most models were timed; of several,
    the smallest batch, and then the largest size.
    """
    chosen = {op: _settings(group, op) for op in JOBS}
    found = []
    for one in group:
        same = {op: [case for case in one.cases[op] if one.settings(case) == chosen[op]] for op in JOBS}
        best = {op: _best(same[op] or one.cases[op]) for op in JOBS if one.cases[op]}
        found.append(replace(one, best=best, compared=frozenset(op for op in JOBS if same[op])))
    return found


def _settings(group: Sequence[Entry], op: Op) -> Settings | None:
    timed: dict[Settings, int] = defaultdict(int)
    for one in group:
        for settings in dict.fromkeys(map(one.settings, one.cases[op])):
            timed[settings] += 1
    return max(timed, key=lambda one: (timed[one], -one[2], one[3]), default=None)


def _best(cases: Sequence[Case]) -> Case:
    """Return the fastest case at the largest N, and of the smallest batch there."""
    n = max(case.n for case in cases)
    batch = min(case.batch for case in cases if case.n == n)
    return min((case for case in cases if (case.n, case.batch) == (n, batch)), key=_seconds)


def _seconds(case: Case) -> float:
    return case.median_s or math.inf


def frontier(group: Sequence[Entry], op: Op) -> list[Entry]:
    """Return the entries that no other one beats in both quality and seconds, the fastest first."""
    timed = [one for one in group if one.seconds(op) is not None]
    kept: list[Entry] = []
    for one in sorted(timed, key=lambda one: (one.seconds(op) or 0.0, one.cost)):
        if not kept or one.cost < kept[-1].cost:
            kept.append(one)
    return kept


def tied(group: Sequence[Entry], op: Op) -> list[Entry]:
    """Return the entries off the frontier that no entry on it beats by more than the intervals of their times."""
    on = frontier(group, op)
    timed = [one for one in group if one.seconds(op) is not None and one not in on]
    return [one for one in timed if not any(other.cost <= one.cost and other.most(op) < one.least(op) for other in on)]


def teacher_of(student: Entry, group: Sequence[Entry]) -> Entry | None:
    """Return the entry that a distilled one was taught by, with the same weights, if it is in the group."""
    taught = student.trained.teacher
    return next((one for one in group if one is not student and one.label == taught), None)


def frontier_table(results: Results) -> Table | None:
    """Return quality and seconds of each trained model; None without any."""
    groups = entries(results)
    if not groups:
        return None
    kinds = list(dict.fromkeys("bits" if group[0].measure.pairs is None else "%" for group in groups))
    columns = [
        Column("model", number=False, wraps=True),
        Column("bits") if kinds == ["bits"] else Column("held out", kinds[0] if len(kinds) == 1 else ""),
        Column("sampled by", number=False),
        Column("sampling an element"),
        Column("scored by", number=False),
        Column("scoring an element"),
        Column("on the frontier", number=False),
    ]
    rows: list[list[Cell]] = []
    notes = []
    for group in groups:
        first = group[0]
        pairs = first.measure.pairs
        of = f"of {pairs:,} pairs, " if pairs is not None else ""
        unit, labels = first.measure.unit, ", ".join(one.label for one in group)
        notes.append(f"{labels}: {unit}, {of}held-out part of {first.trained.data}")
        if any(one.trained.per_symbol > 1 for one in group) and pairs is not None:
            notes.append("Of translations an element is a symbol; fertilities are no elements of their own here")
        on = {op: {one.label for one in frontier(group, op)} for op in JOBS}
        for op in reversed(JOBS):
            if close := [one.label for one in tied(group, op)]:
                notes.append(f"May be on the frontier of {_WORDS[op]} too, as intervals overlap: {', '.join(close)}")
        for one in group:
            places = [_WORDS[op] for op in JOBS if one.label in on[op]]
            apart = [_WORDS[op] for op in JOBS if op in one.best and op not in one.compared]
            unit = f" {'bits' if one.measure.pairs is None else '%'}" if len(kinds) > 1 else ""
            cells: list[Cell] = [on_one_line(one.label), f"{one.shown}{unit}"]
            for op in reversed(JOBS):
                case = one.best.get(op)
                if case is None:
                    cells += [NONE, NONE]
                else:
                    cells += [f"{case.method}, N = {case.n:,}", time_per_element(case, one.size(case))]
            said = " and ".join(places) or ("no" if one.compared else NONE)
            rows.append([*cells, said])
            if apart:
                out = " and ".join(apart)
                notes.append(f"{one.label} was not timed as the others were: the frontier leaves out its {out}")
            if pairs is not None:
                notes.append(f"{one.label}: exact {', '.join(map(_exact, one.trained.translations))}")
            if (teacher := teacher_of(one, group)) is not None:
                notes.append(f"{one.label} was distilled from {teacher.label}")
    notes.append(
        "Frontier: no other model of the same data has fewer bits, or fewer translations that differ, in less time. "
        "Times are those of the fastest method at the N (of translations, the symbols), batch, device and dtype at "
        "which the most of these models were timed; quality is that of the checkpoint, in the dtype of its training."
    )
    return Table(TITLE, *in_one_unit(columns, rows), notes)


def _exact(one: Decoded) -> str:
    """Return ``99.45% by greedy decoding (95%: 99.02% to 99.67%)``."""
    low, high = proportion_interval(one.equal, one.pairs)
    share = one.equal / one.pairs
    return f"{share:.2%} by {on_one_line(one.decoding)} decoding (95%: {low:.2%} to {high:.2%})"

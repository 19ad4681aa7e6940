"""The taxonomy with measured values: how scoring and sampling grow, for each model, by family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from arbench.report.cells import exact, largest_speed_up
from arbench.report.labels import GROWTH, OPS, SharedSettings, claim_label, interval_of, model_label, of_models
from arbench.report.models.jobs import NO_FAMILY, Job, families, job
from arbench.report.models.verdicts import exact_growth
from arbench.report.quantities import NONE, Cell, Column, Quantity, in_one_unit
from arbench.report.table import Table
from arbench.results import Case, Fit, Op, Results
from arbench.stats import format_ratio

TITLE = "How scoring and sampling grow, by family"
PER_ELEMENT = {
    "1": "falls as 1/N",
    "log N": "falls",
    "sqrt N": "falls",
    "N": "constant",
    "N log N": "grows as log N",
    "N^2": "grows with N",
    "N^3": "grows with N²",
}
"""The growth of work per element, by the class of the total work."""
LEGEND = (
    "Depth of scoring and of sampling; then, for the best exact sampler at the largest N: nfe, work per element "
    "(constant =, growing ↑ or falling ↓ with N), time per element, speed over the reference."
)
_ARROWS = {"constant": "=", "falls": "↓", "falls as 1/N": "↓", NONE: ""}
Rows = Callable[[Results, str, str], list[list[Cell]]]
"""Function that returns the rows of a model, given its label and the mark of its remark."""
_MARKS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_FORMULAS, _NAME = (24, 16, 9, 0), 24
"""Characters of a formula, tried in turn until the table fits, and of a model's name in a terminal."""


def taxonomy(results: Results) -> Table | None:
    """Return the full table, one row per model and op; None where fewer than two families were measured."""
    columns = [
        Column("model", number=False),
        Column("N"),
        Column("op", number=False),
        Column("by", number=False),
        Column("claimed", number=False),
        Column("measured", number=False),
        Column("depth", number=False),
        Column("reference", number=False),
        Column("nfe"),
        Column("work exponent"),
        Column("work/element"),
        Column("as N grows", number=False),
        Column("time exponent"),
        Column("time/element"),
        Column("speed-up"),
        Column("claims", number=False),
    ]
    return _table(results, columns, _rows, False)


def brief(results: Results, width: int) -> Table | None:
    """Return the table for a terminal, one row per model; None where fewer than two families were measured.

    Args:
        results: what was measured.
        width: characters per line.
    """
    columns = [
        Column("model", number=False),
        Column("N"),
        Column("scoring", number=False),
        Column("sampling", number=False),
        Column("nfe"),
        Column("work"),
        Column("time"),
        Column("speed"),
        Column("claims", number=False),
    ]
    for most in _FORMULAS:
        table = _table(results, columns, partial(_brief_row, most=most), True)
        if table is None or max(map(len, table.lines(width))) <= width:
            break
    return table


def _table(results: Results, columns: Sequence[Column], rows_of: Rows, legend: bool) -> Table | None:
    found = families(results)
    if len(found.keys() - {NO_FAMILY}) < 2:
        return None
    remarks = _remarks(results, found)
    rows: list[list[Cell]] = []
    sections: dict[int, str] = {}
    for family, labels in found.items():
        sections[len(rows)] = family
        for label in labels:
            rows += rows_of(results, label, remarks.get(label, ("", ""))[0])
    notes = [f"{mark} {remark}" for mark, remark in dict.fromkeys(remarks.values())]
    if legend:
        notes = [LEGEND, *notes]
    return Table(TITLE, *in_one_unit(columns, rows), notes, sections)


def _remarks(results: Results, found: dict[str, list[str]]) -> dict[str, tuple[str, str]]:
    """Return (mark, remark) of each model that has one; equal remarks share a mark."""
    remarks = {model_label(line): " ".join(line.remark.split()) for line in results.models.values()}
    marks: dict[str, str] = {}
    for label in (label for labels in found.values() for label in labels):
        if text := remarks.get(label):
            marks.setdefault(text, _mark(len(marks)))
    return {label: (marks[text], text) for label, text in remarks.items() if text in marks}


def _mark(number: int) -> str:
    return "".join(_MARKS[int(digit)] for digit in str(number + 1))


def _rows(results: Results, model: str, mark: str) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    ops: tuple[Op, ...] = ("score", "sample")
    for op in ops:
        one = job(results, model, op)
        head = [model + mark, _sizes(results, model), OPS[op]]
        last = [tally(results, model)]
        if one is None:
            rows.append([*head, NONE, *["" for _ in range(11)], *last])
            continue
        timed = one.timed
        rows.append(
            [
                *head,
                one.method,
                claim_label(one.fit.claimed) if one.fit.claimed else NONE,
                GROWTH[one.fit.fitted or "1"],
                formula(one.fit),
                _references(one, results),
                _nfe(one),
                _power(one, results, "work"),
                _work(one),
                grows(one, results),
                _power(one, results, "seconds"),
                time_per_element(timed) if timed else NONE,
                _speed_up(one, results),
                *last,
            ]
        )
    return rows


def _brief_row(results: Results, model: str, mark: str, most: int) -> list[list[Cell]]:
    score, sample = job(results, model, "score"), job(results, model, "sample")
    name = model if len(model) <= _NAME else model[: _NAME - 1] + "…"
    row: list[Cell] = [name + mark, _sizes(results, model), *(_depth(one, most) for one in (score, sample))]
    if sample is None:
        return [[*row, NONE, NONE, NONE, NONE, tally(results, model)]]
    known, timed = sample.known, sample.timed
    work = replace(_per_element(known[-1]), mark=_ARROWS.get(grows(sample, results), "↑")) if known else NONE
    return [
        [
            *row,
            _nfe(sample),
            work,
            time_per_element(timed) if timed else NONE,
            _speed_up(sample, results, plain=True),
            tally(results, model),
        ]
    ]


def _depth(one: Job | None, most: int) -> str:
    """Return ``O(N) 34·N + 1``, or ``O(1) claimed, O(N)`` where the claim differs."""
    if one is None:
        return NONE
    fitted, claimed = GROWTH[one.fit.fitted or "1"], one.fit.claimed
    text = formula(one.fit)
    depth = f"{fitted} {text}" if len(text) <= most else fitted
    bound = claimed is not None and claimed.startswith("<=")
    if claimed is None or claim_label(claimed) == fitted or (bound and one.fit.verdict == "holds"):
        return depth
    return f"{claim_label(claimed)} claimed, {fitted}"


def formula(fit: Fit) -> str:
    """Return depth as an exact function of N, or without one its smallest and largest value."""
    growth = exact_growth(fit)
    if growth is not None and growth.formula:
        return growth.formula
    low, high = min(fit.values), max(fit.values)
    return f"{low:,.0f} to {high:,.0f}"


def grows(one: Job, results: Results) -> str:
    """Return the growth of work per element with N."""
    fit = results.fits.get((*one.fit.key, "work"))
    return PER_ELEMENT[fit.fitted] if fit is not None and fit.fitted in PER_ELEMENT else NONE


def tally(results: Results, model: str) -> str:
    """Return the number of claims by verdict: ``17 hold, 1 FAILS``."""
    fits = [fit for fit in results.fits.values() if fit.claimed and model_label(fit) == model]
    counts = {verdict: sum(fit.verdict == verdict for fit in fits) for verdict in ("holds", "fails", "undecided")}
    words = {"holds": ("holds", "hold"), "fails": ("FAILS", "FAIL"), "undecided": ("undecided", "undecided")}
    parts = [f"{count} {words[verdict][count != 1]}" for verdict, count in counts.items() if count]
    return ", ".join(parts) or NONE


def time_per_element(case: Case, size: int | None = None) -> Quantity:
    """Return the time of a call divided by the elements of all events in the batch; ``size`` counts those of one."""
    assert case.median_s is not None
    elements = case.batch * (size or case.n)
    ends = interval_of(case)
    return Quantity(case.median_s / elements, "s", ends and (ends[0] / elements, ends[1] / elements))


def _per_element(case: Case) -> Quantity:
    assert case.flops is not None
    found = exact(case.flops / (case.batch * case.n), "FLOP")
    assert isinstance(found, Quantity)
    return found


def _work(one: Job) -> Cell:
    """Return work per element at the smallest and the largest N."""
    if not one.known:
        return NONE
    first, last = _per_element(one.known[0]), _per_element(one.known[-1])
    return first if first == last else replace(first, until=last.value)


def _nfe(one: Job) -> str:
    known = [case.nfe for case in one.cases if case.nfe is not None]
    return f"{known[-1]:,}" if known else NONE


def _power(one: Job, results: Results, metric: str) -> str:
    """Return ``N^1.02 [0.98, 1.06]``: the fitted exponent of the part that grows above a constant."""
    fit = results.fits.get((*one.fit.key, metric))
    if fit is None or fit.exponent is None:
        return NONE
    interval = fit.exponent_ci95
    return f"N^{fit.exponent:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _references(one: Job, results: Results) -> str:
    shared = SharedSettings(results)
    parts = [f"{shared.method_label(fit)}: {GROWTH[fit.fitted or '1']}, {formula(fit)}" for fit in one.references]
    return "; ".join(parts) or NONE


def _speed_up(one: Job, results: Results, plain: bool = False) -> str:
    found = largest_speed_up(one.cases[-1], results)
    if found is None:
        return NONE
    n, ratio = found
    text = format_ratio(ratio.ratio, ratio.ci95 or ratio.range)
    reference = results.cases.get(ratio.reference)
    if plain or reference is None:
        return text
    return f"{text} over {reference.method} at {n:,}"


def _sizes(results: Results, model: str) -> str:
    sizes = {case.n for case in of_models(results) if model_label(case) == model}
    return f"{min(sizes):,}-{max(sizes):,}" if len(sizes) > 1 else f"{min(sizes):,}"

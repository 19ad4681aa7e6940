"""Time per element over the batch size, as a table and a figure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from arbench.report.figures.style import SCREEN, Form, Look, handle, looks, new_figure, styled, value_axis
from arbench.report.figures.tags import tag, tag_legend
from arbench.report.labels import OPS, interval_of, method_key, model_label, of_models
from arbench.report.models.taxonomy import time_per_element
from arbench.report.quantities import NONE, Cell, Column, in_one_unit
from arbench.report.table import Mark, Table, order
from arbench.results import Case, Results

TITLE = "Time per element by batch size"
_ACROSS = 3
_WIDE, _HIGH = 4.2, 3.6
"""Size of a panel on a screen, inches."""


def sweeps(results: Results) -> list[list[Case]]:
    """Return the timed cases that differ only in batch, smallest first, at the largest N with several batches."""
    found: dict[tuple[Any, ...], dict[int, list[Case]]] = {}
    for case in order(of_models(results)):
        if case.status == "ok" and case.median_s:
            sizes = found.setdefault((*case.key[:-1],), {})
            sizes.setdefault(case.n, []).append(case)
    kept = []
    for sizes in found.values():
        several = [n for n, cases in sizes.items() if len(cases) > 1]
        if several:
            kept.append(sorted(sizes[max(several)], key=lambda case: case.batch))
    return kept


def batch_table(results: Results) -> Table | None:
    """Return the time per element by batch, one row per method; None where none was timed at several batches.

    The method of a row leads to its case with the largest batch.
    """
    rows = sweeps(results)
    if not rows:
        return None
    batches = sorted({case.batch for cases in rows for case in cases})
    columns = [
        *(Column(name, number=False) for name in ("model", "op", "method")),
        Column("N"),
        *(Column(f"batch {batch}") for batch in batches),
        Column("throughput gain"),
    ]
    shown = in_one_unit(columns, [_row(cases, batches) for cases in rows])
    return Table(TITLE, *shown, marks=[Mark(method_key(cases[-1]), cases[-1].id) for cases in rows])


def _row(cases: list[Case], batches: list[int]) -> list[Cell]:
    first = cases[0]
    times = {case.batch: time_per_element(case) for case in cases}
    each = [(case.median_s or 0.0) / case.batch for case in (first, cases[-1])]
    return [
        model_label(first),
        OPS[first.op],
        first.method,
        f"{first.n:,}",
        *(times.get(batch, NONE) for batch in batches),
        f"{each[0] / each[1]:.2g}x",
    ]


def batch_figure(results: Results, form: Form = SCREEN) -> Figure | None:
    """Return the figure, one panel per model and op; None where no method was timed at several batches.

    Args:
        results: what was measured.
        form: the sizes of the figure; panels that would be too narrow for their titles go below each other.
    """
    rows = sweeps(results)
    if not rows:
        return None
    panels: dict[str, list[list[Case]]] = {}
    for cases in rows:
        first = cases[0]
        panels.setdefault(f"{model_label(first)}, {OPS[first.op]}, N = {first.n:,}", []).append(cases)
    among = form.methods.union(case.method for case in of_models(results))
    look = looks(((cases[0].method, cases[0].method) for cases in rows), among)
    values = [
        end / (case.batch * case.n)
        for cases in rows
        for case in cases
        for end in (case.median_s, *(interval_of(case) or ()))
        if end
    ]
    across = min(_ACROSS, len(panels), int(form.page / (_WIDE * form.scale)))
    down = -(-len(panels) // across)
    with styled(form=form):
        figure = new_figure(form.panel(_WIDE, across) * across, _HIGH * form.scale * down)
        grid = list(figure.subplots(down, across, sharey=True, squeeze=False).flat)
        for axes, (title, lines) in zip(grid, panels.items(), strict=False):
            for cases in lines:
                _line(axes, cases, look[cases[0].method], form.scale)
            _batch_axis(axes, (case.batch for cases in lines for case in cases))
            value_axis(axes, min(values), max(values), "s")
            axes.set_title(title)
            axes.grid(True, which="major")
            known = [handle(look[cases[0].method], cases[0].method, form.scale) for cases in lines]
            tag_legend(axes.legend(handles=known), [method_key(cases[0]) for cases in lines])
            sns.despine(ax=axes)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supylabel("time per element", fontsize=10 * form.scale)
    return figure


def _line(axes: Axes, cases: list[Case], look: Look, scale: float) -> None:
    times = [(case.median_s or 0.0) / (case.batch * case.n) for case in cases]
    joined = axes.plot([case.batch for case in cases], times, color=look.color, ls=look.style, lw=1.4 * scale)
    tag(joined, method_key(cases[0]))
    for case, time in zip(cases, times, strict=True):
        ends = np.array(interval_of(case) or (case.median_s,) * 2, dtype=float) / (case.batch * case.n)
        drawn = axes.errorbar(
            [case.batch],
            [time],
            yerr=np.abs(ends - time).reshape(2, 1),
            color=look.color,
            marker=look.marker,
            fillstyle="none" if case.unstable else look.fill,
            linestyle="none",
            markersize=5.5 * scale,
            capsize=4.5 * scale,
        )
        tag(drawn, method_key(case), case.id)


def _batch_axis(axes: Axes, batches: Iterable[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(batches))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.set_xlabel("batch size, events")

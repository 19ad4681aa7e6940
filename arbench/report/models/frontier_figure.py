"""The figure of quality beside speed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arbench.report.figures.style import FAINT, INK, SCREEN, SERIES_LOOKS, Form, new_figure, styled, value_axis
from arbench.report.labels import shorten
from arbench.report.models.frontier import DIFFERING, JOBS, Entry, entries, frontier, teacher_of
from arbench.results import Op, Results

_LONGEST = 27
"""Characters of a line of a label, of which two fit beside a mark in the middle of a panel."""
_AXES = {DIFFERING: "translations that differ, %"}
_ROOM = 2.5
"""Room beside the outermost marks, as a factor."""
_NEAR = 0.7
"""Heights that differ by less than this share of the room beyond the marks: a label then goes below its mark."""


def frontier_figure(results: Results, form: Form = SCREEN) -> Figure | None:
    """Return quality against the seconds of an element, sampling and scoring, a row of panels for each kind of data.

    The line joins the models that no other beats in both; an arrow leads from a teacher to the model distilled from it.
    """
    groups = [group for group in entries(results) if any(one.best for one in group)]
    if not groups:
        return None
    with styled(form=form):
        figure = new_figure(form.width(8.4), form.scale * (3.1 * len(groups) + 0.3))
        panels = figure.subplots(len(groups), 2, squeeze=False)
        for row, group in zip(panels, groups, strict=True):
            for axes, op in zip(row, reversed(JOBS), strict=True):
                _panel(axes, group, op, form.scale)
            row[0].set_ylabel(shorten(_AXES.get(unit := group[0].measure.unit, unit), 2 * _LONGEST))
            row[0].set_title(shorten(f"{group[0].trained.data}: sampling", 2 * _LONGEST))
            row[1].set_title("scoring")
    return figure


def _panel(axes: Axes, group: Sequence[Entry], op: Op, scale: float) -> None:
    timed = [(one, seconds) for one in group if (seconds := one.seconds(op)) is not None]
    if not timed:
        axes.text(0.5, 0.5, "not timed", transform=axes.transAxes, ha="center", color=FAINT)
        return
    best = frontier(group, op)
    low, high = (f(seconds for _, seconds in timed) for f in (min, max))
    places = {one.label: (seconds, one.cost) for one, seconds in timed}
    (on, marker), (off, other) = SERIES_LOOKS[0], SERIES_LOOKS[4]
    steps = [places[one.label] for one in best]
    axes.plot(*zip(*steps, strict=True), color=on, linewidth=1.2 * scale, drawstyle="steps-post", zorder=1)
    costs = [one.cost for one, _ in timed]
    room = max(max(costs) - min(costs), 0.1 if group[0].measure.pairs is None else 2.0) * 0.15
    below = False
    for (one, _), under in zip(timed, (-math.inf, *costs), strict=False):
        x, y = places[one.label]
        below = y - under < _NEAR * room and not below  # entries come in the order of their costs
        first = one in best
        axes.plot(x, y, marker if first else other, color=on if first else off, markersize=6 * scale, zorder=3)
        _name(axes, in_lines(one.label), x, y, scale, right=x * x > low * high, below=below)
        teacher = teacher_of(one, group)
        if teacher is not None and teacher.label in places:
            look = {"arrowstyle": "->", "color": FAINT, "linewidth": 1.0, "shrinkA": 5, "shrinkB": 5}
            axes.annotate("", (x, y), places[teacher.label], arrowprops=look, zorder=2)
    value_axis(axes, low / _ROOM, high * _ROOM, "s", "x")
    axes.set_ylim(min(costs) - room, max(costs) + 2 * room)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlabel("seconds per element" if group[0].measure.pairs is None else "seconds per symbol of a translation")


def in_lines(label: str) -> str:
    """Return a label on one line, or on two, divided where a part of the name ends, and then shortened to them."""
    if len(label) <= _LONGEST:
        return label
    ends = [at for at in range(1, _LONGEST + 1) if label[at - 1] in ",:/" or label[at] in "@"]
    first = max(ends, default=_LONGEST)
    return f"{label[:first]}\n{shorten(label[first:], _LONGEST)}"


def _name(axes: Axes, label: str, x: float, y: float, scale: float, *, right: bool, below: bool) -> None:
    """Write a label above or below a mark: in the right half of the panel to its left, so that it stays inside."""
    side, at = "right" if right else "left", (-5 * scale if right else 5 * scale, -5 * scale if below else 5 * scale)
    axes.annotate(
        label,
        (x, y),
        at,
        ha=side,
        va="top" if below else "baseline",
        textcoords="offset points",
        fontsize=8 * scale,
        color=INK,
        zorder=4,
    )

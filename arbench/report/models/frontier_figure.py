"""The figure of quality beside speed."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arbench.report.figures.names import Named, name_marks
from arbench.report.figures.style import FAINT, INK, SCREEN, Form, new_figure, styled, value_axis
from arbench.report.figures.tags import tag
from arbench.report.labels import method_key, shorten
from arbench.report.models.frontier import DIFFERING, JOBS, Entry, entries, frontier, teacher_of
from arbench.results import Case, Op, Results

_LONGEST = 48
"""Characters of a title."""
_UNIT_LINE, _UNIT_LINES = 32, 3
"""Characters of a line of the name of an axis, and its most lines."""
_WHOLE, _LINE = 24, 30
"""Characters up to which a label is on one line, and those of each of two lines."""
_AXES = {DIFFERING: "translations that differ, %"}
_ROOM = 2.5
"""Room beside the outermost marks, as a factor."""


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
        named: list[tuple[Axes, list[Named], list[Case]]] = []
        for row, group in zip(panels, groups, strict=True):
            for axes, op in zip(row, reversed(JOBS), strict=True):
                named.append((axes, *_panel(axes, group, op, form.scale)))
            unit = _AXES.get(group[0].measure.unit, group[0].measure.unit)
            row[0].set_ylabel(
                "\n".join(wrap(unit, _UNIT_LINE, max_lines=_UNIT_LINES, placeholder=" …", break_on_hyphens=False))
            )
            row[0].set_title(shorten(f"{group[0].trained.data}: sampling", _LONGEST))
            row[1].set_title("scoring")
        figure.draw_without_rendering()  # places the panels, within which the names are placed
        for axes, marks, cases in named:
            for text, case in zip(name_marks(axes, marks, form.scale), cases, strict=True):
                tag([text], method_key(case), case.id)
    return figure


def _panel(axes: Axes, group: Sequence[Entry], op: Op, scale: float) -> tuple[list[Named], list[Case]]:
    """Draw a panel, and return its marks, to be named, and the case of each."""
    timed = [(one, seconds) for one in group if (seconds := one.seconds(op)) is not None]
    if not timed:
        axes.text(0.5, 0.5, "not timed", transform=axes.transAxes, ha="center", color=FAINT)
        return [], []
    best = frontier(group, op)
    low, high = (f(seconds for _, seconds in timed) for f in (min, max))
    places = {one.label: (seconds, one.cost) for one, seconds in timed}
    steps = [places[one.label] for one in best]
    axes.plot(*zip(*steps, strict=True), color=INK, linewidth=1.2 * scale, drawstyle="steps-post", zorder=1)
    costs = [one.cost for one, _ in timed]
    room = max(max(costs) - min(costs), 0.1 if group[0].measure.pairs is None else 2.0) * 0.2
    for one, _ in timed:
        x, y = places[one.label]
        first = one in best
        (mark,) = axes.plot(x, y, "o" if first else "v", color=INK if first else FAINT, markersize=6 * scale, zorder=3)
        case = one.best[op]
        tag([mark], method_key(case), case.id)
        teacher = teacher_of(one, group)
        if teacher is not None and teacher.label in places:
            look = {"arrowstyle": "->", "color": FAINT, "linewidth": 1.0, "shrinkA": 5, "shrinkB": 5}
            axes.annotate("", (x, y), places[teacher.label], arrowprops=look, zorder=2)
    value_axis(axes, low / _ROOM, high * _ROOM, "s", "x")
    axes.set_ylim(min(costs) - room, max(costs) + room)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlabel("seconds per element" if group[0].measure.pairs is None else "seconds per symbol of a translation")
    return [Named(lines(label), *place) for label, place in places.items()], [one.best[op] for one, _ in timed]


def lines(label: str) -> str:
    """Return a label, on two lines where it is long: the model, and its preset with the name of the weights."""
    model, colon, preset = label.partition(":")
    if len(label) <= _WHOLE or not colon:
        return shorten(label, _LINE)
    return f"{shorten(f'{model}:', _LINE)}\n{shorten(preset, _LINE)}"

"""The figures of a history: a panel per case, with its levels as lines and its steps marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from arbench.border.naming import file_name
from arbench.report.figures.drawing import Drawing
from arbench.report.figures.style import (
    FAINT,
    RULE,
    SERIES_LOOKS,
    legend_columns,
    new_figure,
    styled,
    tick,
)
from arbench.report.history.series import History, Series
from arbench.report.history.table import change_text, letter
from arbench.report.labels import shorten
from arbench.report.metrics import Metric

_ACROSS, _MOST = 2, 8
"""Panels side by side, and panels in a figure."""
_LEAST = 0.05
"""Least reach of a panel above and below the median, relative to it, so that noise does not look like steps."""
_TICKS = 12
"""Most commits named on an axis."""
_LONGEST = 48
"""Characters of the longest title."""


def draw(history: History) -> list[Drawing]:
    """Return figures of at most eight panels, each with cases of one model and op; none over a single commit."""
    if len(history.places) < 2:
        return []
    drawings: list[Drawing] = []
    groups: dict[str, dict[str, list[Series]]] = {}
    for one in history.series:
        groups.setdefault(one.group, {}).setdefault(one.case, []).append(one)
    for group, cases in groups.items():
        title = f"{group}: {history.metric.title} over commits".removeprefix(": ")
        for panels in _parts(cases.values()):
            name = file_name(f"{group or 'cases'} {history.metric.name}", {one.name for one in drawings})
            drawings.append(Drawing(name, title, _figure(history, group, panels), see=_see(history)))
    return drawings


def _see(history: History) -> str:
    """Return what to see in a figure."""
    said = (
        "Each mark is a commit, a horizontal line is a level. Where a dotted line stands, the commit to its right "
        "brought the step that is written beside it"
    )
    if not history.metric.exact:
        said += ", which noise does not explain; a panel without one has a single level"
    hollow = " Hollow marks are modified trees, or commits that git does not know."
    return f"{said}.{hollow if history.places['marked'].any() else ''}"


def _parts(cases: Iterable[list[Series]]) -> Iterator[list[list[Series]]]:
    rest = iter(cases)
    while part := list(islice(rest, _MOST)):
        yield part


def _figure(history: History, group: str, panels: list[list[Series]]) -> Figure:
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    with styled():
        figure = new_figure(5.6 * across, 2.4 * down + 0.9)
        grid = list(figure.subplots(down, across, sharex=True, squeeze=False).flat)
        for axes, cases in zip(grid, panels, strict=False):
            _panel(axes, history, cases)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
            grid[len(panels) - across].xaxis.set_tick_params(labelbottom=True)
        _legend(figure, history)
        figure.suptitle(group or "cases", fontsize=11, fontweight="bold", x=0.01, ha="left")
        figure.supylabel(history.metric.title, fontsize=10)
    return figure


def _looks(history: History) -> dict[str, tuple[str, str]]:
    shown = history.machines or [""]
    return {machine: SERIES_LOOKS[number % len(SERIES_LOOKS)] for number, machine in enumerate(shown)}


def _legend(figure: Figure, history: History) -> None:
    """Add a legend of the machines below, unless there is only one."""
    if len(history.machines) < 2:
        return
    handles = [
        Line2D([], [], color=color, marker=marker, label=f"{letter(history, machine)}: {machine}")
        for machine, (color, marker) in _looks(history).items()
    ]
    columns = legend_columns((str(one.get_label()) for one in handles), figure.get_figwidth())
    figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def _panel(axes: Axes, history: History, cases: list[Series]) -> None:
    look = _looks(history)
    values: list[float] = []
    for one in cases:
        color, marker = look[one.machine]
        values += [*one.points["low"], *one.points["high"]]
        _marks(axes, history, one, color, marker)
        for first, last, level in one.levels():
            axes.plot([first - 0.4, last + 0.4], [level, level], color=color, linewidth=1.6, zorder=2)
    _value_axis(axes, values, history.metric)
    for one in cases:
        for step in one.steps:
            place = int(one.points["place"].iloc[step.index])
            axes.axvline(place - 0.5, color=FAINT, linewidth=0.9, linestyle=":", zorder=1)
            late = place > 0.7 * len(history.places)
            axes.annotate(
                change_text(step, history.metric),
                (place - 0.5, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-3 if late else 3, -3),
                textcoords="offset points",
                fontsize=8,
                va="top",
                ha="right" if late else "left",
            )
    axes.set_title(shorten(cases[0].label, _LONGEST), fontsize=10, fontweight="normal")
    _commit_axis(axes, history)
    axes.grid(True, axis="y", color=RULE)
    axes.set_axisbelow(True)
    sns.despine(ax=axes)


def _marks(axes: Axes, history: History, one: Series, color: str, marker: str) -> None:
    points = one.points
    bars = np.abs(points[["low", "high"]].to_numpy(float).T - points["value"].to_numpy(float))
    shown = bars if not history.metric.exact and bars.any() else None
    axes.errorbar(
        points["place"],
        points["value"],
        yerr=shown,
        color=color,
        marker=marker,
        markersize=4.5,
        linestyle="none",
        elinewidth=1.0,
        zorder=3,
    )
    marked = points[points["place"].map(history.places["marked"])]
    axes.plot(
        marked["place"],
        marked["value"],
        marker=marker,
        mfc="white",
        mec=color,
        linestyle="none",
        markersize=4.5,
        zorder=4,
    )


def _value_axis(axes: Axes, values: list[float], metric: Metric) -> None:
    low, high, middle = min(values), max(values), float(np.median(values))
    reach = _LEAST * abs(middle) or 1.0
    low, high = min(low, middle - reach), max(high, middle + reach)
    axes.set_ylim(low - 0.08 * (high - low), high + 0.2 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=metric.exact))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, metric.unit) if value else "0"))


def _commit_axis(axes: Axes, history: History) -> None:
    count = len(history.places)
    every = -(-count // _TICKS)
    names = [("?" if pd.isna(place["commit"]) else str(place["commit"])[:7]) for _, place in history.places.iterrows()]
    axes.set_xlim(-0.7, count - 0.3)
    axes.xaxis.set_major_locator(FixedLocator(range(0, count, every)))
    axes.set_xticks(range(0, count, every), names[::every], rotation=60, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", labelsize=8)

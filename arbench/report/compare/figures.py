"""The figures of a comparison, for each model: ratios by case, and the metric over N where there are several N."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from arbench.border.naming import file_name
from arbench.report.compare.comparison import Comparison, Row
from arbench.report.compare.table import CaseNames
from arbench.report.figures.drawing import Drawing
from arbench.report.figures.style import (
    FAINT,
    SERIES_LOOKS,
    new_figure,
    sizes_axis,
    styled,
    value_axis,
)
from arbench.report.labels import OPS, is_kernel, shorten
from arbench.stats.unpaired import UnpairedRatio

Look = Mapping[str, tuple[str, str]]

_LONGEST = 56
"""Characters of the longest label."""
_MOST = 40
"""Cases in one figure of ratios."""
_ACROSS = 3
"""Panels side by side."""
_SHIFT = 0.03
"""Distance between the marks of two files at the same N, on a logarithmic axis."""
_LEAST = 0.05
"""Least reach of an axis of ratios on both sides of 1, so that noise does not look like a change."""
_OVER_N = (
    "Lines that cover each other are equal; on these axes a distance that stays the same is a constant factor, and one "
    "that grows is another growth."
)


def draw(found: Comparison, names: CaseNames) -> list[Drawing]:
    """Return every figure that has values."""
    looks = {label: SERIES_LOOKS[number % len(SERIES_LOOKS)] for number, label in enumerate(found.labels)}
    groups: dict[str, list[Row]] = {}
    for row in found.rows:
        groups.setdefault(names.group(row.case), []).append(row)
    drawings: list[Drawing] = []
    for group, rows in groups.items():
        compared = [row for row in rows if any(value.ratio for value in row.values.values())]
        for part in range(0, len(compared), _MOST):
            figure = _ratios(found, names, group, compared[part : part + _MOST], looks)
            caption = f"{group}: {found.metric.title} over {found.labels[0]}"
            _add(drawings, f"{group} ratios", caption, figure, _see(found))
        if (curves := _curves(found, names, group, rows, looks)) is not None:
            _add(drawings, f"{group} {found.metric.name}", f"{group}: {found.metric.title} over N", curves, _OVER_N)
    return drawings


def _see(found: Comparison) -> str:
    more, less = found.metric.words
    said = f"A mark to the left of 1 means {less} than in {found.labels[0]}, one to the right {more}."
    return said if found.metric.exact else f"{said} A bar that reaches 1 does not tell the two apart."


def _add(drawings: list[Drawing], words: str, caption: str, figure: Figure, see: str) -> None:
    drawings.append(Drawing(file_name(words, {one.name for one in drawings}), caption, figure, see=see))


def _ratios(found: Comparison, names: CaseNames, group: str, rows: list[Row], looks: Look) -> Figure:
    """Return a figure with a line per case, and a point with its interval per file."""
    others = [label for label in found.labels[1:] if any(_ratio(row, label) for row in rows)]
    step = 0.7 / len(others)
    ends: list[float] = [1.0]
    with styled():
        figure = new_figure(8.0, 1.5 + len(rows) * max(0.26, 0.15 * len(others)))
        axes = figure.subplots()
        for number, label in enumerate(others):
            color, marker = looks[label]
            for y, row in enumerate(rows):
                if (ratio := _ratio(row, label)) is None:
                    continue
                low, high = ratio.ci95 or ratio.range or (ratio.ratio, ratio.ratio)
                ends += [low, high, ratio.ratio]
                axes.errorbar(
                    [ratio.ratio],
                    [y + (number - (len(others) - 1) / 2) * step],
                    xerr=np.array([[ratio.ratio - low], [high - ratio.ratio]]).clip(0),
                    color=color,
                    marker=marker,
                    markersize=5,
                    mfc=color if ratio.ci95 or found.metric.exact else "none",
                    capsize=3,
                    elinewidth=1.2,
                    linestyle="none",
                    zorder=3,
                )
        axes.axvline(1.0, color=FAINT, linewidth=1.0, zorder=1)
        axes.set_yticks(range(len(rows)), [_label(names, row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        _ratio_axis(axes, min(ends), max(ends))
        more, less = found.metric.words
        few = any((ratio := _ratio(row, label)) and ratio.range for row in rows for label in others)
        axes.set_xlabel(
            f"{found.metric.title} over {shorten(found.labels[0], _LONGEST)}, {less} < 1 < {more}"
            + ("; hollow: range, too few workers for 95%" if few else "")
        )
        axes.set_title(shorten(group, 2 * _LONGEST))
        axes.grid(True, axis="x")
        axes.set_axisbelow(True)
        _legend(figure, found, others, looks, lines=False)
        sns.despine(ax=axes)
    return figure


def _ratio(row: Row, label: str) -> UnpairedRatio | None:
    value = row.values.get(label)
    return None if value is None else value.ratio


def _label(names: CaseNames, row: Row) -> str:
    op, method, n = names.cells(row.case)
    sized = f"{method}, N = {n}" if n and not is_kernel(row.case) else method
    return shorten(f"{op} {sized}".strip(), _LONGEST)


def _ratio_axis(axes: Axes, low: float, high: float) -> None:
    """Make x a log axis around 1 with ticks as factors."""
    low, high = min(low, 1 - _LEAST), max(high, 1 + _LEAST)
    axes.set_xscale("log")
    axes.set_xlim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
    span = high / low
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if span < 10 else (1.0, 2.0, 5.0) if span < 100 else (1.0,)
    axes.xaxis.set_major_locator(MaxNLocator(6) if span < 3 else LogLocator(subs=subs, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))


def _curves(found: Comparison, names: CaseNames, group: str, rows: list[Row], looks: Look) -> Figure | None:
    """Return the metric over N, a panel per method, a line per file; None where no method has several N."""
    panels: dict[str, list[Row]] = {}
    for row in rows:
        if row.case.backend and not is_kernel(row.case):
            _, method, _ = names.cells(row.case)
            panels.setdefault(f"{OPS[row.case.op]}, {method}", []).append(row)
    panels = {title: same for title, same in panels.items() if len({row.case.n for row in same}) > 1}
    values = [value for same in panels.values() for value in _values(same)]
    if not values:
        return None
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    with styled():
        figure = new_figure(3.6 * across + 0.6, 2.9 * down + 0.8)
        grid = list(figure.subplots(down, across, sharey=True, squeeze=False).flat)
        for axes, (title, same) in zip(grid, panels.items(), strict=False):
            for number, label in enumerate(found.labels):
                shift = number - (len(found.labels) - 1) / 2
                _line(axes, same, label, looks[label], shift)
            sizes_axis(axes, (row.case.n for row in same))
            value_axis(axes, min(values), max(values), found.metric.unit)
            axes.set_title(shorten(title, _LONGEST), fontsize=10, fontweight="normal")
            axes.grid(True, which="major")
            axes.set_axisbelow(True)
            sns.despine(ax=axes)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.suptitle(shorten(group, 2 * _LONGEST), fontsize=11, fontweight="bold", x=0.01, ha="left")
        figure.supylabel(found.metric.title, fontsize=10)
        _legend(figure, found, found.labels, looks, lines=True)
    return figure


def _values(rows: Iterable[Row]) -> list[float]:
    """Return every value and the ends of its interval."""
    known = [value for row in rows for value in row.values.values() if value.value]
    return [end for value in known for end in (value.value, *(value.interval or ())) if end]


def _line(axes: Axes, rows: list[Row], label: str, look: tuple[str, str], shift: float) -> None:
    """Draw one file's values, shifted a little so that intervals do not hide each other."""
    color, marker = look
    known = [(row.case.n, value) for row in rows if (value := row.values.get(label)) and value.value]
    if not known:
        return
    sizes = np.array([n for n, _ in known]) * np.exp(_SHIFT * shift)
    middles = np.array([value.value for _, value in known], dtype=float)
    ends = np.array([value.interval or (value.value, value.value) for _, value in known], dtype=float)
    axes.errorbar(
        sizes,
        middles,
        yerr=np.abs(ends.T - middles),
        color=color,
        marker=marker,
        markersize=5,
        linewidth=1.4,
        capsize=3,
        alpha=0.85,
    )


def _legend(figure: Figure, found: Comparison, labels: list[str], looks: Look, lines: bool) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=looks[label][0],
            marker=looks[label][1],
            ls="-" if lines else "none",
            label=shorten(label, _LONGEST),
        )
        for label in labels
        if any(label in row.values for row in found.rows)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))

"""The figure of how close each implementation of a kernel comes to the machine's limit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.typing import FillStyleType

from arbench.report.figures.style import (
    FAINT,
    INK,
    RULE,
    SCREEN,
    Form,
    implementation_looks,
    legend_columns,
    new_figure,
    styled,
)
from arbench.report.figures.tags import tag, tag_legend
from arbench.report.kernels.tables import kernels, split_configuration
from arbench.report.labels import KERNEL_OPS, OPS, SharedSettings, method_key, of_kernels, shorten
from arbench.report.rates.roofs import reached
from arbench.results import Case, Results

_LONGEST = 44
"""Characters of the longest configuration."""
_LINE = 0.24
"""Height of a line, inches."""
_PANEL = 4.0
_HEAD = 48
"""Characters of a heading: a kernel's name with what its configurations share, or the name alone."""


def fractions(results: Results, form: Form = SCREEN) -> Figure | None:
    """Return the figure: a line per configuration under its kernel's name, a mark per implementation.

    Forward and backward are side by side.

    Returns:
        None where no timed kernel has a limit.
    """
    shown = {
        name: same
        for name, cases in kernels(results).items()
        if (same := [case for case in cases if reached(case, results)])
    }
    cases = [case for same in shown.values() for case in same]
    if not cases:
        return None
    shared = SharedSettings(results)
    among = form.implementations.union((c.method, c.backend) for c in of_kernels(results))
    look = implementation_looks(((c.method, c.backend, shared.method_label(c)) for c in cases), among)
    ops = [op for op in KERNEL_OPS if any(case.op == op for case in cases)]
    heads, lines, count = _places(shown)
    with styled(form=form):
        labels = 0.075 * max(len(text) for _, text in lines.values())
        width = form.width(_PANEL * len(ops) + labels)
        columns = legend_columns(look, width / form.scale)
        legend = 0.25 * -(-len(look) // columns)
        figure = new_figure(width, form.scale * (_LINE * count + 0.9 + legend))
        panels = figure.subplots(1, len(ops), sharex=True, sharey=True, squeeze=False)[0]
        for axes, op in zip(panels, ops, strict=True):
            for case in cases:
                if case.op == op:
                    place, label = lines[case.model, case.preset][0], shared.method_label(case)
                    _mark(axes, case, place, results, look[label], form.scale)
            _frame(axes, [place for place, _ in lines.values()], count)
            axes.set_title(OPS[op])
        _labels(panels[0], heads, list(lines.values()), form.scale)
        right = max((found.ends or (0, found.fraction))[1] for c in cases if (found := reached(c, results)))
        panels[0].set_xlim(0, max(1.05, right * 1.05))
        handles = [
            Line2D([], [], color=c, marker=m, fillstyle=f, ls="none", label=shorten(label, 40), ms=6 * form.scale)
            for label, (c, m, f) in look.items()
        ]
        keys = {shared.method_label(case): method_key(case) for case in cases}
        tag_legend(figure.legend(handles=handles, loc="outside lower left", ncols=columns), [keys[one] for one in look])
    return figure


Line = tuple[float, str]


def _places(shown: Mapping[str, list[Case]]) -> tuple[list[Line], dict[tuple[str, str], Line], float]:
    """Return the places of kernels' names and configurations, in lines from the top, and the number of lines."""
    heads: list[Line] = []
    lines: dict[tuple[str, str], Line] = {}
    at = 0.0
    for name, cases in shown.items():
        shared, own = split_configuration(dict.fromkeys(case.preset for case in cases))
        alone = len(own) == 1
        full = f"{name} · {shared}"
        heads.append((at, name if alone or not shared or len(full) > _HEAD else full))
        for preset, text in own.items():
            at += 1
            lines[name, preset] = (at, shorten(shared if alone else text, _LONGEST))
        at += 1.2
    return heads, lines, at


def _mark(
    axes: Axes, case: Case, place: float, results: Results, look: tuple[str, str, FillStyleType], scale: float
) -> None:
    found = reached(case, results)
    assert found is not None
    color, marker, fill = look
    value = found.fraction
    bars = None
    if found.ends is not None:
        bars = np.array([[value - found.ends[0]], [found.ends[1] - value]]).clip(0)
    drawn = axes.errorbar(
        [value],
        [place],
        xerr=bars,
        color=color,
        marker=marker,
        fillstyle="none" if case.unstable else fill,
        ms=6.5 * scale,
        capsize=3.5 * scale,
        elinewidth=1.2,
        ls="none",
        zorder=3,
        alpha=0.9,
    )
    tag(drawn, method_key(case), case.id)


def _frame(axes: Axes, places: list[float], count: float) -> None:
    for place in places:
        axes.axhline(place, color=RULE, lw=0.6, zorder=0)
    axes.axvline(1, color=FAINT, lw=1.4, zorder=1)
    axes.set_ylim(count - 0.7, -0.7)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.grid(True, which="major", axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel("of this machine's limit")
    axes.tick_params(axis="y", length=0)
    sns.despine(ax=axes, left=True)


def _labels(axes: Axes, heads: list[Line], lines: list[Line], scale: float) -> None:
    axes.set_yticks([place for place, _ in lines], [text for _, text in lines])
    for place, text in heads:
        axes.text(
            0.01,
            place + 0.1,
            shorten(text, _HEAD),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=9 * scale,
            weight="bold",
            color=INK,
        )

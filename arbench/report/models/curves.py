"""Time and depth over N on log axes, scoring beside sampling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from arbench.report.cells import interval_of
from arbench.report.figures.style import looks, new_figure, sizes_axis, styled, value_axis
from arbench.report.labels import OPS, SharedSettings, model_label, shorten
from arbench.report.models.verdicts import exact_growth
from arbench.report.table import order
from arbench.results import Case, Fit, Results
from arbench.stats import CLASSES, Growth

_UNITS = {"seconds": ("time of one call", "s"), "depth": ("depth, dependent operations", "")}

_LONGEST = 60
"""Characters of a legend's label that fit a panel."""


def curves(results: Results, model: str, metric: str) -> Figure | None:
    """Return a model's ``metric`` over N: a column per op, a mark per case, a curve per fit.

    Args:
        results: what was measured.
        model: as `arbench.report.labels.model_label` gives it.
        metric: 'seconds' (ok cases, with interval or range as bars) or 'depth' (all but inexact
            cases, since depth is counted even where time is over budget).

    Returns:
        None where no case of the model has a value.
    """
    cases = [
        case
        for case in order(results.cases.values())
        if model_label(case) == model and _value(case, metric) is not None
    ]
    if not cases:
        return None
    shared = SharedSettings(results)
    look = looks((case.method, shared.method_label(case)) for case in results.cases.values())
    values = [value for case in cases if (value := _value(case, metric)) is not None]
    ops = [op for op in OPS if any(case.op == op for case in cases)]
    words, unit = _UNITS[metric]
    with styled():
        entries = max(len({shared.method_label(c) for c in cases if c.op == op}) for op in ops)
        figure = new_figure(5.0 * len(ops), 4.2 + 0.2 * entries)
        panels = figure.subplots(1, len(ops), sharey=True, squeeze=False)[0]
        for axes, op in zip(panels, ops, strict=True):
            same = [case for case in cases if case.op == op]
            _panel(axes, same, results, metric, look, shared)
            value_axis(axes, min(values), max(values), unit)
            axes.set_title(OPS[op])
        panels[0].set_ylabel(words)
    return figure


def _value(case: Case, metric: str) -> float | None:
    if metric == "seconds":
        return case.median_s if case.status == "ok" else None
    return case.depth or None if case.status != "inexact" else None


def _panel(
    axes: Axes,
    cases: list[Case],
    results: Results,
    metric: str,
    look: Mapping[str, tuple[str, str, str]],
    shared: SharedSettings,
) -> None:
    handles = []
    for label in dict.fromkeys(map(shared.method_label, cases)):
        color, marker, style = look[label]
        same = [case for case in cases if shared.method_label(case) == label]
        fit = results.fits.get((*same[0].key, metric))
        drawn = _fit(axes, fit, [case.n for case in same], color, style) if fit else False
        _marks(axes, same, metric, color, marker)
        line = style if drawn else "none"
        handles.append(Line2D([], [], color=color, marker=marker, ls=line, label=shorten(label, _LONGEST)))
    sizes_axis(axes, (case.n for case in cases))
    axes.grid(True, which="major")
    axes.set_axisbelow(True)
    columns = 3 if max(len(str(handle.get_label())) for handle in handles) < 24 else 1
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns)
    sns.despine(ax=axes)


def _marks(axes: Axes, cases: Iterable[Case], metric: str, color: str, marker: str) -> None:
    for case in cases:
        value = _value(case, metric)
        assert value is not None
        ends = interval_of(case) if metric == "seconds" else None
        bars = None if ends is None else np.array([[value - ends[0]], [ends[1] - value]]).clip(0)
        face = "none" if metric == "seconds" and case.unstable else color
        axes.errorbar(
            [case.n],
            [value],
            yerr=bars,
            color=color,
            marker=marker,
            markersize=5.5,
            mfc=face,
            capsize=4.5,
            elinewidth=1.2,
            linestyle="none",
            zorder=3,
        )


def _fit(axes: Axes, fit: Fit, shown: list[int], color: str, style: str) -> bool:
    """Draw the fitted curve, and return whether there was one.

    A noisy fit is drawn over the sizes it was fitted to, an exact one over the sizes shown.
    """
    if fit.fitted not in CLASSES or fit.intercept is None or fit.slope is None:
        return False
    growth = exact_growth(fit) or Growth(fit.fitted, None, None, fit.intercept, fit.slope, fit.residual, (), ())
    sizes = shown if exact_growth(fit) else fit.sizes
    n = np.unique(np.geomspace(min(sizes), max(sizes), 200).round().astype(int))
    line = [growth.predict(int(one)) for one in n]
    axes.plot(n, line, color=color, linestyle=style, linewidth=1.4, alpha=0.8, zorder=2)
    return True

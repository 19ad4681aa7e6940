"""Time and depth over N on log axes, scoring and sampling in one panel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from arbench.report.figures.style import (
    SCREEN,
    Form,
    handle,
    legend_columns,
    looks_of,
    new_figure,
    sizes_axis,
    styled,
    value_axis,
)
from arbench.report.labels import OPS, SharedSettings, interval_of, model_label, shorten
from arbench.report.models.verdicts import exact_growth
from arbench.report.table import order
from arbench.results import Case, Fit, Results
from arbench.stats import CLASSES, Growth

_UNITS = {"seconds": ("time of one call", "s"), "depth": ("depth, dependent operations", "")}

_ACROSS = 3
"""Most columns of a legend."""
_LONGEST = 60
"""Characters of a legend's label that fit a panel."""


def curves(results: Results, model: str, metric: str, form: Form = SCREEN) -> Figure | None:
    """Return a model's ``metric`` over N: scoring and sampling on the same axes, a mark per case, a curve per fit.

    Args:
        results: what was measured.
        model: as `arbench.report.labels.model_label` gives it.
        metric: 'seconds' (ok cases, with interval or range as bars) or 'depth' (all but inexact
            cases, since depth is counted even where time is over budget).
        form: the sizes of the figure.

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
    values = [value for case in cases if (value := _value(case, metric)) is not None]
    words, unit = _UNITS[metric]
    with styled(form=form):
        labels = dict.fromkeys(shorten(_label(case, shared), _LONGEST) for case in cases)
        columns = legend_columns(labels, form.column / form.scale, _ACROSS)
        figure = new_figure(form.column, form.height + 0.2 * form.scale * -(-len(labels) // columns))
        axes = figure.subplots()
        handles = _panel(axes, cases, results, metric, shared, form.scale)
        value_axis(axes, min(values), max(values), unit)
        axes.set_ylabel(words)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _label(case: Case, shared: SharedSettings) -> str:
    return f"{OPS[case.op]}: {shared.method_label(case)}"


def _value(case: Case, metric: str) -> float | None:
    if metric == "seconds":
        return case.median_s if case.status == "ok" else None
    return case.depth or None if case.status != "inexact" else None


def _panel(
    axes: Axes,
    cases: list[Case],
    results: Results,
    metric: str,
    shared: SharedSettings,
    scale: float,
) -> list[Line2D]:
    """Draw the cases of a model, and return a handle for each line of the legend."""
    handles = []
    model = model_label(cases[0])
    every = (case for case in results.cases.values() if model_label(case) == model)
    look = looks_of((case.op, case.method, _label(case, shared)) for case in every)
    for label in dict.fromkeys(_label(case, shared) for case in cases):
        color, marker, style = look[label]
        same = [case for case in cases if _label(case, shared) == label]
        fit = results.fits.get((*same[0].key, metric))
        drawn = _fit(axes, fit, [case.n for case in same], color, style) if fit else False
        _marks(axes, same, metric, color, marker, scale)
        handles.append(handle(look[label], shorten(label, _LONGEST), scale, drawn))
    sizes_axis(axes, (case.n for case in cases))
    axes.grid(True, which="major")
    axes.set_axisbelow(True)
    sns.despine(ax=axes)
    return handles


def _marks(axes: Axes, cases: Iterable[Case], metric: str, color: str, marker: str, scale: float) -> None:
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
            markersize=5.5 * scale,
            mfc=face,
            capsize=4.5 * scale,
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

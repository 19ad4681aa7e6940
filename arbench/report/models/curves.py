"""Time and depth over N on log axes, scoring and sampling in one panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from arbench.report.figures.style import (
    SCREEN,
    Form,
    Look,
    handle,
    legend_columns,
    looks,
    new_figure,
    sizes_axis,
    styled,
    value_axis,
)
from arbench.report.figures.tags import tag, tag_legend
from arbench.report.labels import OPS, SharedSettings, interval_of, method_key, model_label, of_models, shorten
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
    values = [end for case in cases for end in (_value(case, metric), *_bar(case, metric)) if end]
    words, unit = _UNITS[metric]
    with styled(form=form):
        labels = dict.fromkeys(shorten(label_of(case, shared), _LONGEST) for case in cases)
        columns = legend_columns(labels, form.column / form.scale, _ACROSS)
        figure = new_figure(form.column, form.height + 0.2 * form.scale * -(-len(labels) // columns))
        axes = figure.subplots()
        handles, methods = _panel(axes, cases, results, metric, shared, form)
        value_axis(axes, min(values), max(values), unit)
        axes.set_ylabel(words)
        tag_legend(figure.legend(handles=handles, loc="outside lower center", ncols=columns), methods)
    return figure


def label_of(case: Case, shared: SharedSettings) -> str:
    """Return the operation and the method of a case, with the settings that vary."""
    return f"{OPS[case.op]}: {shared.method_label(case)}"


def looks_of(results: Results, model: str, shared: SharedSettings, form: Form = SCREEN) -> Mapping[str, Look]:
    """Return the look by label; a method that both scores and samples has one colour, and two line styles."""
    among = form.methods.union(case.method for case in of_models(results))
    known = (case for case in of_models(results) if model_label(case) == model)
    return looks(((case.method, label_of(case, shared)) for case in known), among)


def _value(case: Case, metric: str) -> float | None:
    if metric == "seconds":
        return case.median_s if case.status == "ok" else None
    return case.depth or None if case.status != "inexact" else None


def _bar(case: Case, metric: str) -> tuple[float, ...]:
    """Return the ends of the bar of a case; none where it has no bar."""
    return interval_of(case) or () if metric == "seconds" else ()


def _panel(
    axes: Axes,
    cases: list[Case],
    results: Results,
    metric: str,
    shared: SharedSettings,
    form: Form,
) -> tuple[list[Line2D], list[str]]:
    """Draw the cases of a model; return a handle for each line of the legend, and its method."""
    handles: list[Line2D] = []
    methods = []
    known = looks_of(results, model_label(cases[0]), shared, form)
    for label in dict.fromkeys(label_of(case, shared) for case in cases):
        look = known[label]
        same = [case for case in cases if label_of(case, shared) == label]
        fit = results.fits.get((*same[0].key, metric))
        drawn = _fit(axes, fit, [case.n for case in same], look) if fit else False
        _marks(axes, same, metric, look, form.scale)
        handles.append(handle(look, shorten(label, _LONGEST), form.scale, drawn))
        methods.append(method_key(same[0]))
    sizes_axis(axes, (case.n for case in cases))
    axes.grid(True, which="major")
    axes.set_axisbelow(True)
    sns.despine(ax=axes)
    return handles, methods


def _marks(axes: Axes, cases: Iterable[Case], metric: str, look: Look, scale: float) -> None:
    for case in cases:
        value = _value(case, metric)
        assert value is not None
        ends = _bar(case, metric)
        bars = np.array([[value - ends[0]], [ends[1] - value]]).clip(0) if ends else None
        hollow = metric == "seconds" and case.unstable
        drawn = axes.errorbar(
            [case.n],
            [value],
            yerr=bars,
            color=look.color,
            marker=look.marker,
            fillstyle="none" if hollow else look.fill,
            markersize=5.5 * scale,
            capsize=4.5 * scale,
            elinewidth=1.2,
            linestyle="none",
            zorder=3,
        )
        tag(drawn, method_key(case), case.id)


def _fit(axes: Axes, fit: Fit, shown: list[int], look: Look) -> bool:
    """Draw the fitted curve, and return whether there was one.

    A noisy fit is drawn over the sizes it was fitted to, an exact one over the sizes shown.
    """
    if fit.fitted not in CLASSES or fit.intercept is None or fit.slope is None:
        return False
    growth = exact_growth(fit) or Growth(fit.fitted, None, None, fit.intercept, fit.slope, fit.residual, (), ())
    sizes = shown if exact_growth(fit) else fit.sizes
    n = np.unique(np.geomspace(min(sizes), max(sizes), 200).round().astype(int))
    line = [growth.predict(int(one)) for one in n]
    drawn = axes.plot(n, line, color=look.color, linestyle=look.style, linewidth=1.4, alpha=0.8, zorder=2)
    tag(drawn, method_key(fit))
    return True

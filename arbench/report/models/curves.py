"""Time and depth over N on log axes, scoring and sampling in one panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from arbench.report.figures.style import legend_columns, looks, new_figure, sizes_axis, styled, value_axis
from arbench.report.labels import OPS, SharedSettings, interval_of, model_label, shorten
from arbench.report.models.verdicts import exact_growth
from arbench.report.table import order
from arbench.results import Case, Fit, Results
from arbench.stats import CLASSES, Growth

_UNITS = {"seconds": ("time of one call", "s"), "depth": ("depth, dependent operations", "")}

_WIDTH, _ACROSS = 7.5, 3
"""Width of a figure, inches, and most columns of its legend."""
_LONGEST = 60
"""Characters of a legend's label that fit a panel."""


def curves(results: Results, model: str, metric: str) -> Figure | None:
    """Return a model's ``metric`` over N: scoring and sampling on the same axes, a mark per case, a curve per fit.

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
    values = [value for case in cases if (value := _value(case, metric)) is not None]
    words, unit = _UNITS[metric]
    with styled():
        lines = len({_label(case, shared) for case in cases})
        figure = new_figure(_WIDTH, 4.4 + 0.2 * -(-lines // _ACROSS))
        axes = figure.subplots()
        _panel(axes, cases, results, metric, shared)
        value_axis(axes, min(values), max(values), unit)
        axes.set_ylabel(words)
    return figure


def _label(case: Case, shared: SharedSettings) -> str:
    return f"{OPS[case.op]}: {shared.method_label(case)}"


def _looks(cases: Iterable[Case], shared: SharedSettings) -> Mapping[str, tuple[str, str, str]]:
    """Return colour, marker and style by label; a method that both scores and samples has two colours."""
    known = list(cases)
    scoring = {case.method for case in known if case.op == "score"}

    def method(case: Case) -> str:
        return f"sampling {case.method}" if case.op == "sample" and case.method in scoring else case.method

    return looks((method(case), _label(case, shared)) for case in known)


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
) -> None:
    handles = []
    model = model_label(cases[0])
    look = _looks((case for case in results.cases.values() if model_label(case) == model), shared)
    for label in dict.fromkeys(_label(case, shared) for case in cases):
        color, marker, style = look[label]
        same = [case for case in cases if _label(case, shared) == label]
        fit = results.fits.get((*same[0].key, metric))
        drawn = _fit(axes, fit, [case.n for case in same], color, style) if fit else False
        _marks(axes, same, metric, color, marker)
        line = style if drawn else "none"
        handles.append(Line2D([], [], color=color, marker=marker, ls=line, label=shorten(label, _LONGEST)))
    sizes_axis(axes, (case.n for case in cases))
    axes.grid(True, which="major")
    axes.set_axisbelow(True)
    columns = legend_columns((str(handle.get_label()) for handle in handles), _WIDTH, _ACROSS)
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

"""The roofline: the FLOPs per second that kernels reach, over their FLOPs per byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import FillStyleType

from arbench.report.figures.roofline import Ceiling, ceilings, draw_roofs, roof_axes, roof_handles
from arbench.report.figures.style import (
    FAINT,
    INK,
    SCREEN,
    Form,
    implementation_looks,
    legend_columns,
    new_figure,
    styled,
)
from arbench.report.figures.tags import tag, tag_legend
from arbench.report.kernels.tables import kernels
from arbench.report.labels import KERNEL_OPS, OPS, SharedSettings, method_key, of_kernels, shorten
from arbench.report.rates.roofs import per_second
from arbench.results import Case, Results

_LONGEST = 28
"""Characters of the longest kernel name."""
_LINE = 0.19
"""Distance between two vertical names side by side, inches."""
_LETTER = 0.068
"""Width of a character, inches."""
_WIDE, _HIGH = 5.0, 4.2


def roofline(results: Results, form: Form = SCREEN) -> Figure | None:
    """Return the figure: forward beside backward, a mark per timed case, kernels' names along the bottom.

    Returns:
        None where no timed kernel has known bytes and FLOPs.
    """
    shown = [case for cases in kernels(results).values() for case in cases if _known(case)]
    if not shown:
        return None
    shared = SharedSettings(results)
    among = form.implementations.union((c.method, c.backend) for c in of_kernels(results))
    look = implementation_looks(((c.method, c.backend, shared.method_label(c)) for c in shown), among)
    ops = [op for op in KERNEL_OPS if any(case.op == op for case in shown)]
    tops = ceilings(results, list(dict.fromkeys(case.dtype for case in shown)))
    names = {op: list(dict.fromkeys(case.model for case in shown if case.op == op)) for op in ops}
    strip = 0.25 + _LETTER * max(len(shorten(name, _LONGEST)) for found in names.values() for name in found)
    with styled(form=form):
        wanted = max(_WIDE, 1.5 + 1.3 * _LINE * max(map(len, names.values())))
        width = form.width(wanted * len(ops)) / len(ops)
        handles = _handles(look, tops, form.scale)
        columns = legend_columns((str(one.get_label()) for one in handles), width * len(ops) / form.scale)
        high = _HIGH + strip + 0.22 * -(-len(handles) // columns)
        figure = new_figure(width * len(ops), high * form.scale)
        panels = figure.subplots(1, len(ops), sharey=True, sharex=True, squeeze=False)[0]
        for axes, op in zip(panels, ops, strict=True):
            roof_axes(axes, [_mark(case) for case in shown], tops, strip / (_HIGH + strip))
            cases = [case for case in shown if case.op == op]
            _panel(axes, cases, look, shared, tops, form.scale)
            _names(axes, cases, (width / form.scale - 1.2) / _LINE, form.scale)
            axes.set_title(OPS[op])
        panels[0].set_ylabel("reached, FLOP per second")
        keys = {shared.method_label(case): method_key(case) for case in shown}
        tag_legend(figure.legend(handles=handles, loc="outside lower left", ncols=columns), [keys[one] for one in look])
    return figure


def _known(case: Case) -> bool:
    return bool(case.status == "ok" and case.median_s and case.bytes and case.flops)


def _intensity(case: Case) -> float:
    return (case.flops or 0) / (case.bytes or 1)


def _rate(case: Case) -> float:
    return per_second(case, case.flops) or 0.0


def _mark(case: Case) -> tuple[float, float]:
    return _intensity(case), _rate(case)


def _panel(
    axes: Axes,
    cases: list[Case],
    look: Mapping[str, tuple[str, str, FillStyleType]],
    shared: SharedSettings,
    tops: list[Ceiling],
    scale: float,
) -> None:
    draw_roofs(axes, tops, scale)
    for case in cases:
        color, marker, fill = look[shared.method_label(case)]
        drawn = axes.plot(
            *_mark(case),
            marker=marker,
            color=color,
            fillstyle=fill,
            ms=6 * scale,
            ls="none",
            zorder=3,
            mec="none" if fill == "full" else color,
            alpha=0.9,
        )
        tag(drawn, method_key(case), case.id)


def _names(axes: Axes, cases: list[Case], room: float, scale: float) -> None:
    """Write kernels' names vertically along the bottom without overlap, each with a line to its lowest mark."""
    by_name: dict[str, list[Case]] = {}
    for case in cases:
        by_name.setdefault(case.model, []).append(case)
    left, right = np.log(axes.get_xlim())
    centre = {name: float(np.mean(np.log([_intensity(c) for c in same]))) for name, same in by_name.items()}
    order = sorted(by_name, key=lambda name: centre[name])
    places = spread([(centre[name] - left) / (right - left) for name in order], 1 / room)
    bottom, top = np.log(axes.get_ylim())
    for name, place in zip(order, places, strict=True):
        lowest = min(by_name[name], key=_rate)
        foot = (np.log(_rate(lowest)) - bottom) / (top - bottom)
        text = axes.text(
            place,
            0.015,
            shorten(name, _LONGEST),
            transform=axes.transAxes,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=8 * scale,
            color=INK,
        )
        axes.annotate(
            "",
            xy=((np.log(_intensity(lowest)) - left) / (right - left), foot),
            xycoords="axes fraction",
            xytext=(0.5, 1.02),
            textcoords=text,
            zorder=2,
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.6 * scale, "shrinkA": 0, "shrinkB": 3},
        )


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Return ascending places in [0, 1], as close as possible to those wanted and at least ``apart``.

    Where they do not all fit, they are spaced evenly and closer than ``apart``.
    """
    count = len(wanted)
    apart = min(apart, 1 / max(count, 1))
    groups: list[tuple[float, int]] = []
    for one in wanted:
        middle, size = one, 1
        while groups and _first(*_inside(middle, size, apart), apart) < _last(*groups[-1], apart) + apart:
            before, many = groups.pop()
            middle, size = (before * many + middle * size) / (many + size), size + many
        groups.append(_inside(middle, size, apart))
    return [_first(middle, size, apart) + i * apart for middle, size in groups for i in range(size)]


def _inside(middle: float, size: int, apart: float) -> tuple[float, int]:
    half = size * apart / 2
    return min(max(middle, half), 1 - half), size


def _first(middle: float, size: int, apart: float) -> float:
    return middle - (size - 1) * apart / 2


def _last(middle: float, size: int, apart: float) -> float:
    return middle + (size - 1) * apart / 2


def _handles(look: Mapping[str, tuple[str, str, FillStyleType]], tops: list[Ceiling], scale: float) -> list[Line2D]:
    marks = [
        Line2D([], [], color=color, marker=marker, fillstyle=fill, ls="none", label=shorten(label, 40), ms=6 * scale)
        for label, (color, marker, fill) in look.items()
    ]
    return marks + roof_handles(tops, scale)

"""The roofline: the FLOPs per second that kernels reach, over their FLOPs per byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.typing import FillStyleType

from arbench.report.figures.style import (
    FAINT,
    INK,
    implementation_looks,
    legend_columns,
    new_figure,
    styled,
    tick,
    value_axis,
)
from arbench.report.figures.tags import tag, tag_legend
from arbench.report.kernels.tables import kernels
from arbench.report.labels import KERNEL_OPS, OPS, SharedSettings, method_key, shorten
from arbench.report.rates.roofs import measured_limits, per_second
from arbench.results import Case, Results
from arbench.stats import format_si
from arbench.stats.roofline import product

_LONGEST = 28
"""Characters of the longest kernel name."""
_LINE = 0.19
"""Distance between two vertical names side by side, inches."""
_LETTER = 0.068
"""Width of a character, inches."""
_WIDE, _HIGH = 5.0, 4.2
_DASHES = ((0, (5, 1.5)), (0, (5, 1, 1, 1)), (0, (2, 1)), (0, (8, 1, 2, 1)))


@dataclass(frozen=True)
class Ceiling:
    """A straight line that no mark should pass.

    Attributes:
        label: its name in the legend.
        per_byte: true where ``rate`` is a bandwidth, false where it is an arithmetic rate.
        rate: bytes or FLOPs per second.
        style: line style.
        faint: draw it thin.
    """

    label: str
    per_byte: bool
    rate: float
    style: Any = "-"
    faint: bool = False

    def over(self, intensity: np.ndarray) -> np.ndarray:
        """Return the FLOPs per second that it allows at each intensity, in FLOPs per byte."""
        return self.rate * intensity if self.per_byte else np.full_like(intensity, self.rate)


def ceilings(results: Results, dtypes: Sequence[str]) -> list[Ceiling]:
    """Return the bandwidth at the largest working set, the best bandwidth, and the matrix product by dtype."""
    rates: dict[int, float] = {}
    products: dict[str, float] = {}
    for limits in measured_limits(results):
        for entry in [*(limits.get("copy") or []), *(limits.get("read") or [])]:
            rates[entry["bytes"]] = max(entry["gb_per_s"], rates.get(entry["bytes"], 0.0))
        for dtype in dtypes:
            if (rate := product(limits, dtype)) is not None:
                products[dtype] = max(rate, products.get(dtype, 0.0))
    found = []
    if rates:
        largest, fastest = max(rates), max(rates, key=lambda size: rates[size])
        found.append(_bandwidth("memory", largest, rates[largest]))
        if fastest != largest:
            found.append(_bandwidth("cache", fastest, rates[fastest], ":", faint=True))
    for dtype, style in zip(dtypes, cycle(_DASHES)):
        if dtype in products:
            rate = products[dtype] * 1e9
            found.append(Ceiling(f"matrix product, {dtype}: {_rounded(rate, 'FLOP/s')}", False, rate, style))
    return found


def roofline(results: Results) -> Figure | None:
    """Return the figure: forward beside backward, a mark per timed case, kernels' names along the bottom.

    Returns:
        None where no timed kernel has known bytes and FLOPs.
    """
    shown = [case for cases in kernels(results).values() for case in cases if _known(case)]
    if not shown:
        return None
    shared = SharedSettings(results)
    look = implementation_looks((c.method, c.backend, shared.method_label(c)) for c in shown)
    ops = [op for op in KERNEL_OPS if any(case.op == op for case in shown)]
    tops = ceilings(results, list(dict.fromkeys(case.dtype for case in shown)))
    names = {op: list(dict.fromkeys(case.model for case in shown if case.op == op)) for op in ops}
    strip = 0.25 + _LETTER * max(len(shorten(name, _LONGEST)) for found in names.values() for name in found)
    with styled():
        width = max(_WIDE, 1.5 + 1.3 * _LINE * max(map(len, names.values())))
        handles = _handles(look, tops)
        columns = legend_columns((str(one.get_label()) for one in handles), width * len(ops))
        figure = new_figure(width * len(ops), _HIGH + strip + 0.22 * -(-len(handles) // columns))
        panels = figure.subplots(1, len(ops), sharey=True, sharex=True, squeeze=False)[0]
        _axes(panels, shown, tops, strip / (_HIGH + strip))
        for axes, op in zip(panels, ops, strict=True):
            _panel(axes, [case for case in shown if case.op == op], look, shared, tops, width)
            axes.set_title(OPS[op])
        panels[0].set_ylabel("reached, FLOP per second")
        keys = {shared.method_label(case): method_key(case) for case in shown}
        tag_legend(figure.legend(handles=handles, loc="outside lower left", ncols=columns), [keys[one] for one in look])
    return figure


def _bandwidth(where: str, size: int, rate: float, style: str = "-", faint: bool = False) -> Ceiling:
    label = f"{where}, {_rounded(size, 'B')}: {_rounded(rate * 1e9, 'B/s')}"
    return Ceiling(label, True, rate * 1e9, style, faint)


def _rounded(value: float, unit: str) -> str:
    return format_si(value, unit, (value * 0.99, value * 1.01))


def _known(case: Case) -> bool:
    return bool(case.status == "ok" and case.median_s and case.bytes and case.flops)


def _intensity(case: Case) -> float:
    return (case.flops or 0) / (case.bytes or 1)


def _rate(case: Case) -> float:
    return per_second(case, case.flops) or 0.0


def _axes(panels: Sequence[Axes], shown: list[Case], tops: list[Ceiling], strip: float) -> None:
    """Set axis limits that include all marks and the knee of the roofs, with room for names below the marks."""
    x = [_intensity(case) for case in shown]
    y = [_rate(case) for case in shown]
    flat = [one.rate for one in tops if not one.per_byte]
    slopes = [one.rate for one in tops if one.per_byte]
    knees = [max(flat) / slope for slope in slopes] if flat else []
    left, right = min(x) / 2, max([*x, *knees]) * 2
    high = max([*y, *flat, *(slope * max(x) for slope in slopes if not flat)])
    low = min(y) / 1.6
    low /= (high * 1.6 / low) ** (strip / (1 - strip))
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        value_axis(axes, low * 1.6, high, "FLOP/s")
        axes.yaxis.set_major_locator(FixedLocator([t for t in axes.get_yticks() if t >= min(y) / 3]))
        axes.xaxis.set_major_locator(LogLocator(numticks=12))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, "")))
        axes.set_xlabel("FLOP per byte")
        axes.grid(True, which="major")
        axes.set_axisbelow(True)
        sns.despine(ax=axes)


def _panel(
    axes: Axes,
    cases: list[Case],
    look: Mapping[str, tuple[str, str, FillStyleType]],
    shared: SharedSettings,
    tops: list[Ceiling],
    width: float,
) -> None:
    _roofs(axes, tops)
    for case in cases:
        color, marker, fill = look[shared.method_label(case)]
        drawn = axes.plot(
            _intensity(case),
            _rate(case),
            marker=marker,
            color=color,
            fillstyle=fill,
            ms=6,
            ls="none",
            zorder=3,
            mec="none" if fill == "full" else color,
            alpha=0.9,
        )
        tag(drawn, method_key(case), case.id)
    _names(axes, cases, (width - 1.2) / _LINE)


def _roofs(axes: Axes, tops: list[Ceiling]) -> None:
    """Draw each ceiling up to where it meets the highest one of the other kind."""
    x = np.geomspace(*axes.get_xlim(), 200)
    peak = max((one.rate for one in tops if not one.per_byte), default=np.inf)
    slope = max((one.rate for one in tops if one.per_byte), default=np.inf)
    for one in tops:
        knee = peak / one.rate if one.per_byte else one.rate / slope
        inside = x <= knee if one.per_byte else x >= knee
        axes.plot(x[inside], one.over(x[inside]), **_line(one), zorder=1)


def _line(one: Ceiling) -> dict[str, Any]:
    return {"color": FAINT, "lw": 1.0 if one.faint else 1.8, "ls": one.style}


def _names(axes: Axes, cases: list[Case], room: float) -> None:
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
            fontsize=8,
            color=INK,
        )
        axes.annotate(
            "",
            xy=((np.log(_intensity(lowest)) - left) / (right - left), foot),
            xycoords="axes fraction",
            xytext=(0.5, 1.02),
            textcoords=text,
            zorder=2,
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
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


def _handles(look: Mapping[str, tuple[str, str, FillStyleType]], tops: list[Ceiling]) -> list[Line2D]:
    marks = [
        Line2D([], [], color=color, marker=marker, fillstyle=fill, ls="none", label=shorten(label, 40))
        for label, (color, marker, fill) in look.items()
    ]
    return marks + [Line2D([], [], label=one.label, **_line(one)) for one in tops]

"""Parts of every roofline: the limits of the machine, on axes of FLOPs per byte and FLOPs per second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from arbench.report.figures.style import FAINT, MARGIN, value_axis
from arbench.report.rates.roofs import measured_limits
from arbench.results import Results
from arbench.stats import format_si
from arbench.stats.roofline import product

_DASHES = ((0, (5, 1.5)), (0, (5, 1, 1, 1)), (0, (2, 1)), (0, (8, 1, 2, 1)))

Mark = tuple[float, float]
"""FLOPs per byte, and FLOPs per second."""


@dataclass(frozen=True)
class Ceiling:
    """A straight line that the machine's limits draw.

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


def roof_axes(axes: Axes, marks: Sequence[Mark], tops: Sequence[Ceiling], strip: float = 0.0) -> None:
    """Set axis limits that include all marks and the knee of the roofs.

    Args:
        axes: where to draw.
        marks: all marks, those of other panels too.
        tops: the ceilings.
        strip: share of the height to keep free below the marks.
    """
    x, y = [mark[0] for mark in marks], [mark[1] for mark in marks]
    flat = [one.rate for one in tops if not one.per_byte]
    slopes = [one.rate for one in tops if one.per_byte]
    knees = [max(flat) / slope for slope in slopes] if flat else []
    left, right = min(x) / 2, max([*x, *knees]) * 2
    high = max([*y, *flat, *(slope * max(x) for slope in slopes if not flat)])
    low = min(y) / MARGIN
    low /= (high * MARGIN / low) ** (strip / (1 - strip))
    value_axis(axes, left * MARGIN, right / MARGIN, "", "x")
    value_axis(axes, low * MARGIN, high, "FLOP/s")
    named, fine = axes.get_yticks(), axes.get_yticks(minor=True)
    axes.yaxis.set_major_locator(FixedLocator([t for t in named if t >= min(y) / 3]))
    axes.yaxis.set_minor_locator(FixedLocator([t for t in fine if t >= min(y) / 3]))
    axes.set_xlabel("FLOP per byte")
    axes.grid(True, which="major")
    axes.set_axisbelow(True)
    sns.despine(ax=axes)


def draw_roofs(axes: Axes, tops: Sequence[Ceiling], scale: float) -> None:
    """Draw each ceiling up to where it meets the highest one of the other kind."""
    x = np.geomspace(*axes.get_xlim(), 200)
    peak = max((one.rate for one in tops if not one.per_byte), default=np.inf)
    slope = max((one.rate for one in tops if one.per_byte), default=np.inf)
    for one in tops:
        knee = peak / one.rate if one.per_byte else one.rate / slope
        inside = x <= knee if one.per_byte else x >= knee
        axes.plot(x[inside], one.over(x[inside]), **_line(one, scale), zorder=1)


def roof_handles(tops: Sequence[Ceiling], scale: float) -> list[Line2D]:
    """Return a handle for each ceiling, for a legend."""
    return [Line2D([], [], label=one.label, **_line(one, scale)) for one in tops]


def _bandwidth(where: str, size: int, rate: float, style: str = "-", faint: bool = False) -> Ceiling:
    label = f"{where}, {_rounded(size, 'B')}: {_rounded(rate * 1e9, 'B/s')}"
    return Ceiling(label, True, rate * 1e9, style, faint)


def _rounded(value: float, unit: str) -> str:
    return format_si(value, unit, (value * 0.99, value * 1.01))


def _line(one: Ceiling, scale: float) -> dict[str, Any]:
    return {"color": FAINT, "lw": (1.0 if one.faint else 1.8) * scale, "ls": one.style}

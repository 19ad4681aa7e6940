"""How figures look: colours, type, axes in words, and SVG fit for a page of either brightness."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.typing import FillStyleType

from arbench.stats import format_si

INK, FAINT, RULE = "#1f2328", "#59636e", "#d1d9e0"
"""Text, secondary text and lines; a page replaces them by its own variables."""
_VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)", RULE: "var(--rule)"}

_PALETTE = [mpl.colors.to_hex(color) for color in sns.color_palette("colorblind")]
_BLUE, _ORANGE, _GREEN, _RED, _PINK, _BROWN, _ROSE, _GREY, _YELLOW, _SKY = _PALETTE
_METHODS = {
    "parallel": (_BLUE, "o"),
    "sequential": (_RED, "s"),
    "cached": (_RED, "s"),
    "inversion": (_RED, "s"),
    "naive": (_GREY, "v"),
    "fixed_point": (_PINK, "D"),
    "inversion_fixed_point": (_PINK, "D"),
    "own_samples": (_SKY, "P"),
    "fused": (_GREEN, "^"),
    "forecast": (_ORANGE, "<"),
    "speculative": (_BROWN, ">"),
}
_IMPLEMENTATIONS = {
    ("arbench", "triton"): (_BLUE, "o"),
    ("arbench", "numba"): (_GREEN, "^"),
    ("torch", "eager"): (_GREY, "v"),
    ("torch", "compile"): (_ORANGE, "s"),
}
_FILLS: tuple[FillStyleType, ...] = ("full", "top", "left", "bottom", "right")
"""Of variants; a hollow mark is an unstable case."""
_SPARE = [(_ORANGE, "X"), (_GREEN, "p"), (_BROWN, "h"), (_SKY, "*"), (_ROSE, "d")]

MACHINES = [(_BLUE, "o"), (_ORANGE, "s"), (_GREEN, "^"), (_RED, "D"), (_GREY, "v"), (_BROWN, "P")]
"""Colour and marker of each machine of a history, in turn."""

_PEERS = [(_PINK, "D"), (_RED, "P"), (_BROWN, "X"), (_SKY, "d"), (_YELLOW, "p"), (_ROSE, "h")]

_RC: Any = {
    **sns.axes_style("ticks"),
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    # Names come from results files: they are text, never TeX.
    "text.parse_math": False,
    "svg.fonttype": "none",
}

_ENLARGED = 4 / 3 * 1.1
"""Pixels a page gives a point of a figure's width: a little more than its size in print."""


@contextmanager
def styled(name: str = "arbench") -> Iterator[None]:
    """Figures are made and saved inside; nothing outside changes."""
    settings: Any = {**_RC, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure that no global state knows, ``width`` by ``height`` inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looks(methods: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, str, str]]:
    """(method, label) pairs to colour, marker and line style, by label.

    A method looks the same in every figure; variants of it (another backend, batch, ...) differ
    in line style; methods unknown here share out the spare looks in alphabetical order.
    """
    pairs = sorted(set(methods))
    unknown = sorted({method for method, _ in pairs} - _METHODS.keys())
    known = _METHODS | {m: _SPARE[i % len(_SPARE)] for i, m in enumerate(unknown)}
    styles = ("-", "--", "-.", ":")
    seen: dict[str, int] = {}
    found = {}
    for method, label in pairs:
        seen[method] = seen.get(method, -1) + 1
        found[label] = (*known[method], styles[seen[method] % len(styles)])
    return found


def implementation_looks(
    implementations: Iterable[tuple[str, str, str]],
) -> Mapping[str, tuple[str, str, FillStyleType]]:
    """(who, backend, label) of kernels to colour, marker and how the marker is filled, by label.

    As in `looks`, each looks the same in every figure; variants of it (another dtype, ...) differ in
    the filling, and peers share out the spare looks.
    """
    triples = sorted(set(implementations))
    unknown = sorted({(who, backend) for who, backend, _ in triples} - _IMPLEMENTATIONS.keys())
    peers = {key: _PEERS[i % len(_PEERS)] for i, key in enumerate(unknown)}
    known = _IMPLEMENTATIONS | peers
    seen: dict[tuple[str, str], int] = {}
    found = {}
    for who, backend, label in triples:
        seen[who, backend] = seen.get((who, backend), -1) + 1
        found[label] = (*known[who, backend], _FILLS[seen[who, backend] % len(_FILLS)])
    return found


def legend_columns(labels: Iterable[str], width: float, most: int = 4) -> int:
    """How many columns of a legend fit ``width`` inches."""
    longest = max(map(len, labels), default=0)
    return max(1, min(most, int((width - 0.2) / (0.085 * longest + 0.65))))


def sizes_axis(axes: Axes, sizes: Iterable[int]) -> None:
    """A log axis with a tick at every measured size, thinned until the labels stand apart."""
    axes.set_xscale("log")
    ticks = sorted(set(sizes))
    low, high = np.log(ticks[0]), np.log(ticks[-1])
    apart = max(high - low, 1e-9) / 7
    kept: list[int] = []
    for tick in reversed(ticks):
        if not kept or np.log(kept[-1]) - np.log(tick) >= apart:
            kept.append(tick)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
    axes.set_xlabel("N, elements")


def value_axis(axes: Axes, low: float, high: float, unit: str) -> None:
    """A log axis from a little below ``low`` to a little above ``high``, ticks in words."""
    axes.set_yscale("log")
    axes.set_ylim(low / 1.6, high * 1.6)
    decades = np.log10(high / low)
    subs: tuple[float, ...] = (1.0,)
    if decades <= 0.7:
        subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    elif decades <= 2:
        subs = (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))


def tick(value: float, unit: str) -> str:
    """A tick in words: ``10 ms``, ``16,384``, ``0.25``."""
    if not unit and value < 1e6:
        return f"{value:,.0f}" if value >= 1 else f"{value:g}"
    text, _, suffix = format_si(value, unit, (value, value)).partition(" ")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {suffix}".rstrip()


def save_bytes(figure: Figure, name: str) -> tuple[str, bytes]:
    """The figure as (SVG, PNG); the same figure gives the same bytes.

    ``name`` also sets the SVG's ids apart from those of other figures on one page.
    """
    with styled(name):
        vector, raster = io.StringIO(), io.BytesIO()
        figure.savefig(vector, format="svg", metadata={"Date": None})
        figure.set_layout_engine("none")  # it is laid out, and that is half of the work
        figure.savefig(raster, format="png", dpi=160, facecolor="white")
    return vector.getvalue(), raster.getvalue()


def inline(svg: str, name: str, title: str) -> str:
    """An SVG file's text as markup for a page: no prolog, ids of its own, the page's colours.

    Args:
        svg: as `save_bytes` gives it.
        name: of letters, digits and hyphens; put before every id.
        title: for readers that do not see; already escaped.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, variable)
    width = re.search(r'<svg [^>]*?\bwidth="([0-9.]+)pt"', body)
    assert width is not None
    size = f"--wide: {float(width[1]) * _ENLARGED:.0f}px"
    return body.replace("<svg ", f'<svg role="img" aria-label="{title}" style="{size}" ', 1)

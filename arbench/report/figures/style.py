"""The look of figures: colours, type and axes."""

from __future__ import annotations

import warnings
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
"""Text, secondary text and lines."""

_PALETTE = [mpl.colors.to_hex(color) for color in sns.color_palette("colorblind")]
_BLUE, _ORANGE, _GREEN, _RED, _PINK, _BROWN, _ROSE, _GREY, _YELLOW, _SKY = _PALETTE
_METHODS = {
    "parallel": (_BLUE, "o"),
    "sequential": (_SKY, "X"),
    "naive": (_GREY, "v"),
    "layerwise": (_GREY, "v"),
    "cached": (_RED, "s"),
    "fixed_point": (_PINK, "D"),
    "blocks": (_GREEN, "p"),
    "forecast": (_ORANGE, "<"),
    "speculative": (_BROWN, ">"),
    "rejection": (_ROSE, "h"),
    "fused": (_YELLOW, "^"),
    "stream": (INK, "*"),
    "inversion": (_RED, "s"),
    "inversion_fixed_point": (_PINK, "D"),
    "inversion_blocks": (_GREEN, "p"),
    "own_samples": (_SKY, "P"),
}
"""Colour and marker by method; two methods share a colour only if no model has both."""
_IMPLEMENTATIONS = {
    ("arbench", "triton"): (_BLUE, "o"),
    ("arbench", "numba"): (_GREEN, "^"),
    ("torch", "eager"): (_GREY, "v"),
    ("torch", "compile"): (_ORANGE, "s"),
}
_FILLS: tuple[FillStyleType, ...] = ("full", "top", "left", "bottom", "right")
"""Fillings of variants; a hollow mark is an unstable case."""
_SPARE = [(_YELLOW, "*"), (_ORANGE, "d"), (_BROWN, "H"), (_ROSE, "8"), (_GREEN, "d"), (_SKY, "*"), (_GREY, "d")]

SERIES_LOOKS = [(_BLUE, "o"), (_ORANGE, "s"), (_GREEN, "^"), (_RED, "D"), (_GREY, "v"), (_BROWN, "P")]
"""Colours and markers for machines or files, used in turn."""

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
    # names from results files are text, never TeX
    "text.parse_math": False,
    "svg.fonttype": "none",
}


@contextmanager
def styled(name: str = "arbench") -> Iterator[None]:
    """Apply the style inside the block; figures must be made and rendered there.

    Args:
        name: seed of the ids in SVG files.
    """
    settings: Any = {**_RC, "svg.hashsalt": name}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name may be in any script
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of ``width`` by ``height`` inches that is not registered in any global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looks(methods: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, str, str]]:
    """Return colour, marker and line style by label, for (method, label) pairs.

    A method looks the same in every figure. Its variants (another backend, batch, ...) differ in line style.
    Unknown methods get the spare looks in alphabetical order, in colours that no other method has.
    """
    pairs = sorted(set(methods))
    unknown = sorted({method for method, _ in pairs} - _METHODS.keys())
    taken = {_METHODS[method][0] for method, _ in pairs if method in _METHODS}
    spare = [look for look in _SPARE if look[0] not in taken] or _SPARE
    known = _METHODS | {m: spare[i % len(spare)] for i, m in enumerate(unknown)}
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
    """Return colour, marker and filling by label, for (implementation, backend, label) triples.

    As in `looks`, each looks the same in every figure. Variants (another dtype, ...) differ in filling, and
    unknown implementations get the spare looks in alphabetical order.
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
    """Return the number of legend columns that fit ``width`` inches."""
    longest = max(map(len, labels), default=0)
    return max(1, min(most, int((width - 0.2) / (0.085 * longest + 0.65))))


def sizes_axis(axes: Axes, sizes: Iterable[int]) -> None:
    """Make x a log axis with a tick at every measured size, thinned until the labels stand apart."""
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


def value_axis(axes: Axes, low: float, high: float, unit: str, along: str = "y") -> None:
    """Make y, or x, a log axis from a little below ``low`` to a little above ``high``, with ticks in words."""
    axes.set(**{f"{along}scale": "log", f"{along}lim": (low / 1.6, high * 1.6)})
    axis = axes.yaxis if along == "y" else axes.xaxis
    decades = np.log10(high / low)
    subs: tuple[float, ...] = (1.0,)
    if decades <= 0.7:
        subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if along == "y" else (1.0, 2.0, 5.0)
    elif decades <= 2:
        subs = (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))


def tick(value: float, unit: str) -> str:
    """Return a tick in words: ``10 ms``, ``16,384``, ``0.25``."""
    if not unit and value < 1e6:
        return f"{value:,.0f}" if value >= 1 else f"{value:g}"
    text, _, suffix = format_si(value, unit, (value, value)).partition(" ")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {suffix}".rstrip()

"""The look of figures: colours, type and axes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.typing import FillStyleType

from arbench.report.figures.palette import LIGHT, LIGHT_TONES
from arbench.report.labels import base_name
from arbench.stats import format_si

INK, FAINT, RULE = "#1f2328", "#59636e", "#d1d9e0"
"""Text, secondary text and lines."""

_BLUE, _ORANGE, _GREEN, _RED, _PINK, _BROWN, _ROSE, _GREY, _YELLOW, _SKY = LIGHT.values()
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
    **{color: f"var(--{name})" for name, color in (LIGHT | LIGHT_TONES).items()},
}
"""The variables of a page that replace the colours of a figure."""
_METHODS = {
    "parallel": (_BLUE, "o"),
    "sequential": (_SKY, "X"),
    "naive": (_GREY, "v"),
    "layerwise": (_GREY, "h"),
    "cached": (_RED, "s"),
    "fixed_point": (_PINK, "D"),
    "blocks": (_GREEN, "p"),
    "forecast": (_ORANGE, "<"),
    "speculative": (_BROWN, ">"),
    "rejection": (_ROSE, "h"),
    "fused": (_YELLOW, "^"),
    "stream": (INK, "*"),
    "inversion": (_RED, "d"),
    "inversion_fixed_point": (_PINK, "H"),
    "inversion_blocks": (_GREEN, "8"),
    "own_samples": (_SKY, "P"),
}
"""Colour and marker by method; no two share both. Two of one colour are of one model only where a stack of flows
inverts some of its layers to score and others to sample."""
_IMPLEMENTATIONS = {
    ("arbench", "triton"): (_BLUE, "o"),
    ("arbench", "numba"): (_GREEN, "^"),
    ("torch", "eager"): (_GREY, "v"),
    ("torch", "compile"): (_ORANGE, "s"),
}
_BESIDE = 0.65
"""Width of a legend's column beside its text, inches: the sample of the line, and the gap to the next column."""
MARGIN = 1.6
"""Factor by which a logarithmic axis of values goes beyond the smallest and the largest one."""
_FINE, _BETWEEN = 6, tuple(float(number) for number in range(2, 10))
"""Most decades of an axis that has small ticks between its powers of ten, and where these are, times such a power."""
_FILLS: tuple[FillStyleType, ...] = ("full", "top", "left", "bottom", "right")
"""Fillings of variants; a hollow mark is an unstable case."""
_STYLES = ("-", "--", "-.", ":")
"""Line styles of variants."""
_SPARE = [(_YELLOW, "P"), (_ORANGE, "d"), (_BROWN, "H"), (_ROSE, "8"), (_GREEN, "*"), (_SKY, "D"), (_GREY, "p")]

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
    # text stays text, which a page can style and search
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Form:
    """The sizes of figures in one place, on a screen or in a column of a paper, and the methods that are shown there.

    Attributes:
        scale: size of text, lines and marks relative to those on a screen.
        column: width of a figure of one panel, inches.
        height: height of the panel of such a figure, inches.
        page: width that no figure exceeds, inches.
        outlines: whether SVG files draw text as outlines, which look the same where the font is missing.
        methods: every method that the figures of this place show, so that one of a user's own looks the same in all.
        implementations: the same of kernels, as (implementation, backend).
    """

    scale: float = 1.0
    column: float = 7.5
    height: float = 4.4
    page: float = 100.0
    outlines: bool = False
    methods: frozenset[str] = frozenset()
    implementations: frozenset[tuple[str, str]] = frozenset()

    def width(self, wanted: float) -> float:
        """Return the width of a figure that is ``wanted`` inches wide on a screen."""
        return min(wanted * self.scale, self.page)

    def panel(self, wanted: float, across: int) -> float:
        """Return the width of one of ``across`` panels that are ``wanted`` inches wide on a screen."""
        return min(wanted * self.scale, self.column if across == 1 else self.page / across)


SCREEN = Form()
PAPER = Form(scale=0.8, column=3.25, height=2.25, page=6.75, outlines=True)
"""Columns and pages of the usual classes are at least this wide: ICML 3.25 and 6.75 inches, ACM 3.33 and 7.0, IEEE 3.5
and 7.16, Elsevier 3.54 and 7.48. NeurIPS and ICLR have one column of 5.5. Text is 8 points high, and at least 6.4, but
for a map that shrinks to the page."""


@contextmanager
def styled(name: str = "arbench", form: Form = SCREEN) -> Iterator[None]:
    """Apply the style inside the block; figures must be made and rendered there.

    Args:
        name: seed of the ids in SVG files.
        form: the sizes.
    """
    sized = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    settings: Any = {**_RC, "svg.hashsalt": name, **{key: _RC[key] * form.scale for key in sized}}
    if form.outlines:
        # 42 embeds a font as it is: publishers refuse the default, Type 3
        settings |= {"svg.fonttype": "path", "pdf.fonttype": 42}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name may be in any script
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of ``width`` by ``height`` inches that is not registered in any global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


class Look(NamedTuple):
    """The look of a method."""

    color: str
    marker: str
    style: str
    fill: FillStyleType


def looks(methods: Iterable[tuple[str, str]], among: Iterable[str] = ()) -> Mapping[str, Look]:
    """Return the look by label, for (method, label) pairs.

    A method has the same colour and marker in every figure, whatever its settings. Its variants (other settings,
    another backend, batch, ...) differ in line style and in the filling of their marks. Methods that are not
    arbench's get the spare looks in alphabetical order, in colours that no other one has if possible.

    Args:
        methods: the pairs; settings follow the name of a method after a comma.
        among: every method of the page, so that those that are not arbench's look the same in all its figures.
    """
    pairs = sorted(set(methods))
    bases = {base_name(method) for method in among} | {base_name(method) for method, _ in pairs}
    taken = {_METHODS[method][0] for method in bases & _METHODS.keys()}
    spare = [look for look in _SPARE if look[0] not in taken] or _SPARE
    known = _METHODS | {m: spare[i % len(spare)] for i, m in enumerate(sorted(bases - _METHODS.keys()))}
    seen: dict[str, int] = {}
    found = {}
    for method, label in pairs:
        base = base_name(method)
        variant = seen[base] = seen.get(base, -1) + 1
        found[label] = Look(*known[base], _STYLES[variant % len(_STYLES)], _FILLS[variant % len(_FILLS)])
    return found


def implementation_looks(
    implementations: Iterable[tuple[str, str, str]], among: Iterable[tuple[str, str]] = ()
) -> Mapping[str, tuple[str, str, FillStyleType]]:
    """Return colour, marker and filling by label, for (implementation, backend, label) triples.

    As in `looks`, each looks the same in every figure. Variants (another dtype, ...) differ in filling, and
    unknown implementations get the spare looks in alphabetical order.

    Args:
        implementations: the triples.
        among: every (implementation, backend) of the page.
    """
    triples = sorted(set(implementations))
    unknown = sorted({(who, backend) for who, backend, _ in triples}.union(among) - _IMPLEMENTATIONS.keys())
    peers = {key: _PEERS[i % len(_PEERS)] for i, key in enumerate(unknown)}
    known = _IMPLEMENTATIONS | peers
    seen: dict[tuple[str, str], int] = {}
    found = {}
    for who, backend, label in triples:
        seen[who, backend] = seen.get((who, backend), -1) + 1
        found[label] = (*known[who, backend], _FILLS[seen[who, backend] % len(_FILLS)])
    return found


def handle(look: Look, label: str, scale: float, drawn: bool = True) -> Line2D:
    """Return the line of a legend for a method.

    Args:
        look: of the method.
        label: its text.
        scale: of the figure.
        drawn: whether the figure has a line, not marks alone.
    """
    line = Line2D([], [], color=look.color, marker=look.marker, fillstyle=look.fill, ms=6 * scale, lw=1.5 * scale)
    line.set(linestyle=look.style if drawn else "none")
    line.set_label(label)
    return line


def legend_columns(labels: Iterable[str], width: float, most: int = 4) -> int:
    """Return the number of legend columns that fit ``width`` inches of a figure for the screen."""
    font = FontProperties(family=_RC["font.sans-serif"], size=_RC["legend.fontsize"])
    points = (text_to_path.get_text_width_height_descent(label, font, ismath=False)[0] for label in labels)
    return max(1, min(most, int((width - 0.2) / (max(points, default=0.0) / 72 + _BESIDE))))


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
    """Make y, or x, a log axis from a little below ``low`` to a little above ``high``, with ticks in words.

    Where only powers of ten are named, small ticks between them show the logarithm.
    """
    axes.set(**{f"{along}scale": "log", f"{along}lim": (low / MARGIN, high * MARGIN)})
    axis = axes.yaxis if along == "y" else axes.xaxis
    decades = np.log10(high / low)
    subs: tuple[float, ...] = (1.0,)
    if decades <= 0.7:
        subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if along == "y" else (1.0, 2.0, 5.0)
    elif decades <= 2.5:
        subs = (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    fine = len(subs) == 1 and decades <= _FINE
    axis.set_minor_locator(LogLocator(subs=_BETWEEN, numticks=12) if fine else NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))


def tick(value: float, unit: str) -> str:
    """Return a tick in words: ``10 ms``, ``16,384``, ``0.25``."""
    if not unit and value < 1e6:
        return f"{value:,.0f}" if value >= 1 else f"{value:g}"
    text, _, suffix = format_si(value, unit, (value, value)).partition(" ")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {suffix}".rstrip()

"""Names beside the marks of a panel, where they are free of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from arbench.report.figures.style import INK

_SIZE, _GAP, _MARK = 8.0, 5.0, 3.5
"""Points: size of a name, its distance from the mark in both directions, and radius of a mark."""
_PLACES = [(side, height) for height in (1, -1, 0, 6, -6) for side in (1, -1)]
"""Where a name may stand, the best place first: to the right (1) or left, and above (1), below or far from its mark."""


class Named(NamedTuple):
    """A mark at (x, y) and its name, of one line or several."""

    name: str
    x: float
    y: float


def name_marks(axes: Axes, marks: Sequence[Named], scale: float) -> list[Annotation]:
    """Write a name beside each mark, where it covers no other name or mark and stays within the panel if it can.

    Args:
        axes: a panel of a figure that was laid out.
        marks: what to name.
        scale: size of text and distances relative to those on a screen.

    Returns:
        The names, in the order of the marks.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    dot = figure.dpi / 72 * scale
    centres: list[tuple[float, float]] = [tuple(axes.transData.transform((one.x, one.y))) for one in marks]
    taken = [Bbox.from_extents(x - _MARK * dot, y - _MARK * dot, x + _MARK * dot, y + _MARK * dot) for x, y in centres]
    texts = []
    for one in marks:
        text = axes.annotate(
            one.name, (one.x, one.y), (0, 0), textcoords="offset points", fontsize=_SIZE * scale, color=INK, zorder=4
        )
        text.set_in_layout(False)
        costs = []
        for side, height in _PLACES:
            _move(text, side, height, scale)
            box = text.get_window_extent(canvas.get_renderer())
            costs.append(sum(_shared(box, other) for other in taken) + 10 * _outside(box, axes.bbox))
        _move(text, *_PLACES[costs.index(min(costs))], scale)
        taken.append(text.get_window_extent(canvas.get_renderer()))
        texts.append(text)
    return texts


def _move(text: Annotation, side: int, height: int, scale: float) -> None:
    aside = _GAP if height else 1.4 * _GAP
    text.set_position((side * aside * scale, height * _GAP * scale))
    text.set_horizontalalignment("left" if side > 0 else "right")
    text.set_verticalalignment("bottom" if height > 0 else "top" if height < 0 else "center")


def _shared(one: Bbox, other: Bbox) -> float:
    """Return the area that two boxes share, in square pixels."""
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else float(both.width * both.height)


def _outside(box: Bbox, panel: Bbox) -> float:
    """Return the area of a box that is outside a panel."""
    return float(box.width * box.height) - _shared(box, panel)

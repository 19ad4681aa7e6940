"""Names beside marks: none covers another, or a mark, and all stay within the panel."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.transforms import Bbox

from arbench.report.figures.names import Named, name_marks
from arbench.report.figures.style import new_figure, styled

CROWD = [(0.1, 0.1), (0.1, 0.12), (0.9, 0.9), (0.95, 0.88), (0.95, 0.1), (0.05, 0.95)]


@pytest.mark.parametrize("places", [CROWD, CROWD[:1], []])
def test_names_stand_apart_within_the_panel(places) -> None:
    with styled():
        figure = new_figure(5, 3)
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        figure.draw_without_rendering()
        name_marks(axes, [Named(f"a name that is long,\nmark {at}", *place) for at, place in enumerate(places)], 1.0)
        renderer = figure.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == len(places)
    for one, other in combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None
    panel, marks = axes.bbox, axes.transData.transform(places) if places else []
    for box in boxes:
        assert panel.x0 <= box.x0
        assert panel.y0 <= box.y0
        assert box.x1 <= panel.x1
        assert box.y1 <= panel.y1
        assert not any(box.contains(*mark) for mark in marks)

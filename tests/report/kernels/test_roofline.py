"""The roofline: ceilings, marks, and names that stand apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from arbench.report.kernels.roofline import ceilings, roofline, spread

NUMBA = "softmax:rows=16000,width=256/forward/arbench/numba"


@pytest.mark.parametrize("which", ["kernels", "crowd"])
def test_no_name_on_the_roofline_covers_another_or_a_mark(which: str, boxes, request) -> None:
    figure = roofline(request.getfixturevalue(which))
    assert figure is not None
    texts, panels = boxes(figure)
    for found, panel, axes in zip(texts, panels, figure.axes, strict=True):
        assert len(found) >= 5
        for here, there in combinations(found, 2):
            assert not here.overlaps(there)
        marks = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]
        assert all(panel.contains(*mark) for mark in marks)
        assert min(mark[1] for mark in marks) > max(box.y1 for box in found)
        assert all(panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0 for box in found)


def test_the_roofline_has_every_timed_case_below_its_roof(kernels) -> None:
    figure = roofline(kernels)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["forward", "backward"]
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1
    drawn = sum(len(line.get_xydata()) == 1 for axes in figure.axes for line in axes.lines)
    assert drawn == sum(case.status == "ok" for case in kernels.cases.values())
    tops = ceilings(kernels, ["float32"])
    assert [one.label for one in tops] == [
        "memory, 268 MB: 11.2 GB/s",
        "cache, 65.5 kB: 92.1 GB/s",
        "matrix product, float32: 147 GFLOP/s",
    ]
    case = kernels.cases[NUMBA]
    assert tops[0].over(np.array([0.5]))[0] == pytest.approx(5.6e9)
    assert case.flops / case.median_s < tops[0].over(np.array([case.flops / case.bytes]))[0]


def test_spread_keeps_order_distance_and_place() -> None:
    assert spread([0.5], 0.1) == [0.5]
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.0, 0.0], 0.1) == pytest.approx([0.05, 0.15])
    assert spread([0.99, 1.0], 0.1) == pytest.approx([0.85, 0.95])
    assert np.diff(spread([0.3, 0.31, 0.32, 0.6], 0.1)) == pytest.approx([0.1, 0.1, 0.19], abs=1e-9)
    assert np.diff(spread([0.5] * 20, 0.1)) == pytest.approx(0.05)

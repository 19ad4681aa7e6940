"""Time and depth over N: marks, panels and legends."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report.figures.style import PAPER, SCREEN
from arbench.report.models.curves import curves
from arbench.results import Case


def test_the_curves_show_every_ok_case_and_only_those(results) -> None:
    figure = curves(results, "wavenet:nv", "seconds")
    assert figure is not None
    (axes,) = figure.axes
    drawn = len(axes.containers)
    ok = [c for c in results.cases.values() if c.model == "wavenet" and c.status == "ok"]
    assert drawn == len(ok)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    methods = {(c.op, c.method) for c in ok}
    assert sorted(labels) == sorted(f"{'scoring' if op == 'score' else 'sampling'}: {name}" for op, name in methods)
    colors = [handle.get_color() for handle in figure.legends[0].legend_handles]
    assert len(set(colors)) == len(colors)


def test_inexact_cases_have_no_depth_on_the_figure(results) -> None:
    figure = curves(results, "pixelcnn:gated", "depth")
    assert figure is not None
    drawn = sum(len(axes.containers) for axes in figure.axes)
    assert drawn == sum(c.model == "pixelcnn" and c.status != "inexact" for c in results.cases.values())


@pytest.mark.parametrize("form", [SCREEN, PAPER], ids=["screen", "paper"])
def test_legends_do_not_cover_the_axes_and_stay_inside(results, form) -> None:
    for model in ("wavenet:nv", "parallel_wavenet:paper"):
        figure = curves(results, model, "seconds", form)
        assert figure is not None
        figure.canvas.draw()
        legend = figure.legends[0].get_window_extent()
        assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)
        assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1
        assert legend.y0 >= 0
        assert figure.get_figwidth() == form.column


def test_one_size_is_drawn(build) -> None:
    results = build(edit=lambda line: None if getattr(line, "n", 256) != 256 else line)
    assert curves(results, "wavenet:nv", "seconds") is not None


def test_bars_end_inside_the_axes(build) -> None:
    def wide(line):
        if isinstance(line, Case) and line.ci95_s:
            return msgspec.structs.replace(line, ci95_s=(line.median_s / 9, line.median_s * 9))
        return line

    results = build(edit=wide)
    (axes,) = curves(results, "wavenet:nv", "seconds").axes
    ends = [end for c in results.cases.values() if c.model == "wavenet" and c.ci95_s for end in c.ci95_s]
    low, high = axes.get_ylim()
    assert low < min(ends) < max(ends) < high

"""Time and depth over N: marks, panels and legends."""

from __future__ import annotations

from arbench.report.models.curves import curves


def test_the_curves_show_every_ok_case_and_only_those(results) -> None:
    figure = curves(results, "wavenet:nv", "seconds")
    assert figure is not None
    (axes,) = figure.axes
    drawn = len(axes.containers)
    ok = [c for c in results.cases.values() if c.model == "wavenet" and c.status == "ok"]
    assert drawn == len(ok)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    methods = {(c.op, c.method) for c in ok}
    assert sorted(labels) == sorted(f"{'scoring' if op == 'score' else 'sampling'}: {name}" for op, name in methods)
    colors = [handle.get_color() for handle in axes.get_legend().legend_handles]
    assert len(set(colors)) == len(colors)


def test_inexact_cases_have_no_depth_on_the_figure(results) -> None:
    figure = curves(results, "pixelcnn:gated", "depth")
    assert figure is not None
    drawn = sum(len(axes.containers) for axes in figure.axes)
    assert drawn == sum(c.model == "pixelcnn" and c.status != "inexact" for c in results.cases.values())


def test_legends_do_not_cover_the_axes(results) -> None:
    for model in ("wavenet:nv", "parallel_wavenet:paper"):
        figure = curves(results, model, "seconds")
        assert figure is not None
        figure.canvas.draw()
        legends = [axes.get_legend().get_window_extent() for axes in figure.axes]
        panels = [axes.get_window_extent() for axes in figure.axes]
        assert not any(legend.overlaps(panel) for legend in legends for panel in panels)


def test_one_size_is_drawn(build) -> None:
    results = build(edit=lambda line: None if getattr(line, "n", 256) != 256 else line)
    assert curves(results, "wavenet:nv", "seconds") is not None

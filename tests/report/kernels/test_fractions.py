"""The figure of fractions of the limit."""

from __future__ import annotations

from itertools import combinations

from arbench.report.kernels.fractions import fractions


def test_fractions_have_a_mark_for_each_timed_case_and_labels_apart(kernels, crowd, boxes) -> None:
    for results in (kernels, crowd):
        figure = fractions(results)
        assert figure is not None
        drawn = sum(len(axes.containers) for axes in figure.axes)
        assert drawn == sum(case.status == "ok" for case in results.cases.values())
        found, _ = boxes(figure)
        renderer = figure.canvas.get_renderer()
        labels = [text.get_window_extent(renderer) for text in figure.axes[0].get_yticklabels()]
        for here, there in combinations([*found[0], *labels], 2):
            assert not here.overlaps(there)
        left, right = figure.axes[0].get_xlim()
        assert left == 0
        assert right >= 1

"""The roofline of a model: marks where the counts and the times put them, below limits that were measured."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from arbench.report.figures.style import PAPER
from arbench.report.models.roofline import model_roofline
from arbench.results import Case, Run

PER_BYTE = {"parallel": 8.0, "cached": 0.5}
"""FLOPs per byte of the methods whose bytes are known."""


def with_bytes(line):
    if isinstance(line, Case) and line.method in PER_BYTE:
        return msgspec.structs.replace(line, bytes=round(line.flops / PER_BYTE[line.method]))
    return line


def marks(figure):
    """Return (FLOPs per byte, FLOPs per second, size, colour) of each mark."""
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 1]
    return [(*line.get_xydata()[0], line.get_markersize(), line.get_color()) for line in lines]


def test_a_mark_for_each_timed_case_with_known_bytes(build) -> None:
    results = build(edit=with_bytes)
    figure = model_roofline(results, "wavenet:nv")
    known = [c for c in results.cases.values() if c.model == "wavenet" and c.status == "ok" and c.bytes]
    assert {c.method for c in known} == set(PER_BYTE)
    wanted = sorted((PER_BYTE[c.method], c.flops / c.median_s) for c in known)
    found = sorted(mark[:2] for mark in marks(figure))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-3:] == [
        "memory, 268 MB: 11.2 GB/s",
        "cache, 65.5 kB: 92.1 GB/s",
        "matrix product, float32: 147 GFLOP/s",
    ]
    assert set(labels[:-3]) == {"scoring: parallel", "sampling: cached"}


def test_marks_grow_with_n_and_the_smallest_and_largest_are_the_same_for_all(build) -> None:
    results = build(edit=with_bytes)
    sizes = {}
    for _, rate, size, color in marks(model_roofline(results, "wavenet:nv", PAPER)):
        sizes.setdefault(color, []).append((rate, size))
    by_rate = {c.flops / c.median_s: c.n for c in results.cases.values() if c.status == "ok"}
    found = {}
    for rate, size in (one for same in sizes.values() for one in same):
        n = next(n for known, n in by_rate.items() if known == pytest.approx(rate))
        assert found.setdefault(n, size) == size
    ordered = [found[n] for n in sorted(found)]
    assert ordered == sorted(set(ordered))


def test_a_native_loop_counts_the_weights_that_each_element_reads(build) -> None:
    def native(line):
        if isinstance(line, Case) and line.method == "cached":
            return msgspec.structs.replace(line, bytes=1, verified={"step_bytes": 1000})
        return line

    results = build(edit=native)
    cached = [c for c in results.cases.values() if (c.model, c.method, c.status) == ("wavenet", "cached", "ok")]
    found = sorted(mark[0] for mark in marks(model_roofline(results, "wavenet:nv")))
    np.testing.assert_allclose(found, sorted(c.flops / (1000 * c.n) for c in cached))


def test_without_bytes_or_limits_there_is_none(build, results) -> None:
    assert model_roofline(results, "wavenet:nv") is None

    def unlimited(line):
        return msgspec.structs.replace(line, limits={}) if isinstance(line, Run) else with_bytes(line)

    assert model_roofline(build(edit=unlimited), "wavenet:nv") is None


def test_both_axes_name_ticks_that_place_a_mark(build) -> None:
    figure = model_roofline(build(edit=with_bytes), "wavenet:nv")
    figure.canvas.draw()
    (axes,) = figure.axes
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        ticks = [*axis.get_majorticklocs(), *axis.get_minorticklocs()]
        inside = sorted(one for one in ticks if low <= one <= high)
        assert max(b / a for a, b in zip([low, *inside], [*inside, high], strict=True)) <= 5
        assert sum(low <= one <= high for one in axis.get_majorticklocs()) >= 3

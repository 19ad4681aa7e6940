"""The look of methods and implementations."""

from __future__ import annotations

import matplotlib as mpl
import pytest

from arbench.methods import METHODS
from arbench.report.figures.style import implementation_looks, legend_columns, looks, new_figure, styled, value_axis


def test_a_method_looks_the_same_everywhere() -> None:
    alone = looks([("cached", "cached")])
    among = looks([("naive", "naive"), ("cached", "cached"), ("novel", "novel")])
    assert alone["cached"] == among["cached"]
    variants = looks([("cached", "cached · eager"), ("cached", "cached · numba")])
    colors, markers, styles, fills = zip(*variants.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == 1
    assert len(set(styles)) == len(set(fills)) == 2
    assert "none" not in fills, "hollow is unstable"


def test_no_two_methods_share_both_colour_and_marker() -> None:
    found = looks([(method.name, method.name) for method in METHODS])
    assert "layerwise" in found
    assert len({look[:2] for look in found.values()}) == len(found)


def test_settings_change_neither_colour_nor_marker():
    plain = looks([("fused", "fused")])["fused"]
    settings = ["fused,threads=2", "fused,weights=bfloat16"]
    found = looks([(name, name) for name in ("fused", *settings)])
    assert {look[:2] for look in found.values()} == {plain[:2]}
    assert len({look[2:] for look in found.values()}) == 3


def test_a_method_of_ones_own_looks_the_same_in_all_figures_of_a_page():
    page = ["cached", "newer", "novel"]
    alone = looks([("novel", "novel")], among=page)["novel"]
    beside = looks([("novel", "novel"), ("newer", "newer"), ("parallel", "parallel")], among=page)
    assert beside["novel"] == alone
    assert beside["newer"][0] != alone.color


@pytest.mark.parametrize(
    "names",
    [
        [method.name for method in METHODS if method.feeds == "x"],
        [method.name for method in METHODS if method.feeds == "z"],
        ["parallel", "cached", "fused", "novel", "newer"],
    ],
)
def test_methods_of_one_panel_differ_in_colour_and_marker(names: list[str]) -> None:
    found = looks([(name, name) for name in names])
    assert len({look[0] for look in found.values()}) == len(names)
    assert len({look[1] for look in found.values()}) == len(names)


def test_an_implementation_looks_the_same_everywhere() -> None:
    alone = implementation_looks([("torch", "eager", "torch · eager")])
    peers = [("torch", "eager", "torch · eager"), ("a", "triton", "a · triton"), ("b", "cuda", "b · cuda")]
    among = implementation_looks(peers)
    assert alone["torch · eager"] == among["torch · eager"]
    assert len({look[:2] for look in among.values()}) == 3
    halves = implementation_looks([("torch", "eager", "f32"), ("torch", "eager", "f16")])
    assert "none" not in {look[2] for look in halves.values()}, "hollow is unstable"
    assert len({look[:2] for look in halves.values()}) == 1
    assert len({look[2] for look in halves.values()}) == 2


def test_a_legend_has_the_columns_that_the_width_of_its_text_allows() -> None:
    labels = ["i" * 60] * 2, ["W" * 60] * 2
    assert [legend_columns(one, 7.5) for one in labels] == [2, 1]
    with styled():
        figure = new_figure(7.5, 2.0)
        handles = [mpl.lines.Line2D([], [], label=one) for one in labels[0]]
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=2)
        figure.canvas.draw()
        assert legend.get_window_extent().width <= figure.bbox.width
    assert legend_columns([], 7.5) == 4


@pytest.mark.parametrize(
    ("low", "high", "named", "fine"),
    [
        (1.0, 1000.0, ["1", "10", "100", "1,000"], True),
        (1.0, 60.0, ["1", "2", "5", "10", "20", "50"], False),
        (1.0, 1e9, None, False),
    ],
)
def test_an_axis_names_enough_ticks_and_shows_between_powers_of_ten_that_it_is_logarithmic(
    low: float, high: float, named: list[str] | None, fine: bool
) -> None:
    for along in "xy":
        with styled():
            figure = new_figure(6, 4)
            axes = figure.subplots()
            value_axis(axes, low, high, "", along)
            figure.canvas.draw()
            axis = axes.xaxis if along == "x" else axes.yaxis
            ends = axis.get_view_interval()
            inside = [one for one in axis.get_majorticklocs() if ends[0] <= one <= ends[1]]
            assert bool([one for one in axis.get_minorticklocs() if ends[0] <= one <= ends[1]]) == fine
            if named is not None:
                assert [axis.get_major_formatter()(one) for one in inside] == named

"""The look of methods and implementations."""

from __future__ import annotations

import pytest

from arbench.methods import METHODS
from arbench.report.figures.style import implementation_looks, looks


def test_a_method_looks_the_same_everywhere() -> None:
    alone = looks([("cached", "cached")])
    among = looks([("naive", "naive"), ("cached", "cached"), ("novel", "novel")])
    assert alone["cached"] == among["cached"]
    variants = looks([("cached", "cached · eager"), ("cached", "cached · numba")])
    colors, markers, styles, fills = zip(*variants.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == 1
    assert len(set(styles)) == len(set(fills)) == 2
    assert "none" not in fills, "hollow is unstable"


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

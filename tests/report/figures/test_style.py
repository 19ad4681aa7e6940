"""The look of methods and implementations."""

from __future__ import annotations

import pytest

from arbench.report.figures.style import implementation_looks, looks


def test_a_method_looks_the_same_everywhere() -> None:
    alone = looks([("cached", "cached")])
    among = looks([("naive", "naive"), ("cached", "cached"), ("novel", "novel")])
    assert alone["cached"] == among["cached"]
    variants = looks([("cached", "cached · eager"), ("cached", "cached · numba")])
    colors, markers, styles = zip(*variants.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == 1
    assert len(set(styles)) == 2


@pytest.mark.parametrize(
    "op",
    [
        ["parallel", "sequential", "inversion_fixed_point", "own_samples"],
        ["naive", "cached", "fused", "fixed_point", "forecast", "speculative", "parallel"],
    ],
)
def test_methods_of_one_panel_differ_in_colour_and_marker(op: list[str]) -> None:
    found = looks([(name, name) for name in op])
    assert len({look[0] for look in found.values()}) == len(op)
    assert len({look[1] for look in found.values()}) == len(op)


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

"""The colours of figures: seen on their backgrounds, and told apart without one kind of cone."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from arbench.report.figures.palette import DARK, DARK_TONES, LIGHT, LIGHT_TONES

WHITE, NIGHT = "#ffffff", "#14171b"
"""The backgrounds of both themes."""
CONES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB."""
TO_LMS = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
TO_LMS = np.array([*TO_LMS, [0.0883024619, 0.2817188376, 0.6299787005]])
TO_LAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
TO_LAB = np.array([*TO_LAB, [0.0259040371, 0.7827717662, -0.8086757660]])
"""OKLab (Ottosson, 2020)."""


def linear(color: str) -> np.ndarray:
    coded = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(color: str, cones) -> np.ndarray:
    return TO_LAB @ np.cbrt(TO_LMS @ np.clip(np.asarray(cones) @ linear(color), 0, 1))


@pytest.mark.parametrize(("palette", "background"), [(LIGHT, WHITE), (DARK, NIGHT)])
def test_every_colour_is_seen_on_its_background(palette, background) -> None:
    assert {name: found for name, color in palette.items() if (found := contrast(color, background)) < 3} == {}


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("cones", CONES)
def test_any_two_can_be_told_apart_without_one_kind_of_cone(palette, cones) -> None:
    pairs = combinations(palette, 2)
    seen = {(a, b): np.linalg.norm(oklab(palette[a], CONES[cones]) - oklab(palette[b], CONES[cones])) for a, b in pairs}
    assert {pair: round(float(far), 3) for pair, far in seen.items() if far < 0.075} == {}


@pytest.mark.parametrize(("tones", "background"), [(LIGHT_TONES, WHITE), (DARK_TONES, NIGHT)])
@pytest.mark.parametrize("cones", CONES)
def test_each_tone_is_farther_from_the_paper_than_the_one_before(tones, background, cones) -> None:
    far = [0, *(abs(oklab(tone, CONES[cones]) - oklab(background, CONES[cones]))[0] for tone in tones.values())]
    assert [round(b - a, 3) for a, b in pairwise(far) if b - a < 0.075] == []


def test_the_measures_are_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert oklab("#ffffff", CONES["all"]) == pytest.approx([1, 0, 0], abs=1e-3)
    same = [oklab(color, CONES["no red"]) for color in ("#c60000", "#524900")]
    assert np.linalg.norm(same[0] - same[1]) < np.linalg.norm(
        oklab("#c60000", CONES["all"]) - oklab("#524900", CONES["all"])
    )


def test_both_themes_have_the_same_names() -> None:
    assert list(LIGHT) == list(DARK)
    assert list(LIGHT_TONES) == list(DARK_TONES)

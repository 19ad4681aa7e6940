"""Steps: planted ones are found in place, noise gives few, and odd input does not crash."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arbench.stats.steps import Step, exact_steps, least_length, noisy_steps


def series(seed: int, steps: dict[int, float], n: int = 40, noise: float = 0.01) -> list[float]:
    """Return durations around 1 ms; ``steps`` maps an index to the factor from there on."""
    values = 1e-3 * np.exp(np.random.default_rng(seed).normal(0, noise, n))
    for index, factor in steps.items():
        values[index:] *= factor
    return [float(value) for value in values]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("index", [4, 20, 36])
@pytest.mark.parametrize("factor", [1.10, 0.90])
def test_a_planted_step_is_found_at_its_place(seed: int, index: int, factor: float) -> None:
    (found,) = noisy_steps(series(seed, {index: factor}))
    assert found.index == index
    assert found.change == pytest.approx(factor - 1, abs=0.02)
    assert found.before == pytest.approx(1e-3, rel=0.02)
    assert found.after == pytest.approx(factor * 1e-3, rel=0.02)
    assert found.p is not None
    assert 0 < found.p <= 0.01


def test_three_steps_are_found_one_of_them_back_again() -> None:
    found = noisy_steps(series(3, {15: 1.2, 25: 1 / 1.2, 45: 1.06}, n=60))
    assert [step.index for step in found] == [15, 25, 45]
    assert [round(step.change or 0, 1) for step in found] == [0.2, -0.2, 0.1]
    assert [step.after for step in found[:-1]] == [step.before for step in found[1:]]


@pytest.mark.parametrize("n", [12, 40, 80])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_noise_alone_gives_steps_as_seldom_as_stated(n: int, tails: str) -> None:
    rng = np.random.default_rng(11)
    noise = rng.normal(size=(300, n)) if tails == "normal" else rng.standard_t(3, size=(300, n))
    false = sum(bool(noisy_steps(row)) for row in np.exp(0.03 * noise))
    assert false <= 9  # 300 times 1% is 3, and 9 or fewer has a chance of 99.9%


def test_a_steady_drift_is_no_step() -> None:
    drift = np.exp(np.linspace(0, 0.3, 50))
    rng = np.random.default_rng(12)
    false = sum(bool(noisy_steps(drift * np.exp(rng.normal(0, 0.03, 50)))) for _ in range(100))
    assert false <= 5


def test_one_outlier_is_no_step_and_hides_none() -> None:
    values = series(4, {20: 1.05})
    values[10] *= 5
    assert [step.index for step in noisy_steps(values)] == [20]


def test_missing_values_count_in_the_index() -> None:
    values: list[float | None] = [*series(5, {20: 1.3})]
    values[3], values[20], values[21] = None, math.nan, None
    (found,) = noisy_steps(values)
    assert found.index == 22


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [None, None], [1.0, 2.0], [1.0] * 5, [1.0, 1.0, 1.0, 9.0, 9.0], [1e-3] * 40, [math.nan] * 40],
)
def test_a_series_that_cannot_contain_a_step_has_none(values: list[float | None]) -> None:
    assert noisy_steps(values) == []


def test_levels_without_any_noise_have_their_step() -> None:
    (found,) = noisy_steps([2e-3] * 10 + [3e-3] * 10)
    assert (found.index, found.before, found.after) == (10, 2e-3, 3e-3)


def test_the_fewest_values_are_what_permutations_allow() -> None:
    assert [least_length(level) for level in (0.05, 0.01, 0.001)] == [8, 10, 14]
    doubled = [1.0, 1.02, 0.99, 1.01, 0.98, 2.0, 2.04, 1.98, 2.02, 1.96]
    assert [step.index for step in noisy_steps(doubled)] == [5]
    assert noisy_steps(doubled[1:]) == []
    assert [step.index for step in noisy_steps(doubled[1:-1], level=0.05)] == [4]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf])
def test_a_value_that_is_no_duration_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        noisy_steps([1.0] * 10 + [bad])


def test_the_same_series_has_the_same_steps() -> None:
    values = series(6, {20: 1.04}, noise=0.03)
    assert noisy_steps(values) == noisy_steps(values)


def test_every_change_of_an_exact_counter_is_a_step() -> None:
    assert exact_steps([7, 7, None, 9, math.nan, 9, 8]) == [Step(3, 7, 9), Step(6, 9, 8)]
    assert exact_steps([0, 4])[0].change is None
    assert exact_steps([4, 5])[0].change == 0.25
    assert exact_steps([]) == exact_steps([None]) == exact_steps([3]) == []


def test_a_tolerance_is_of_the_level_and_does_not_creep() -> None:
    assert exact_steps([100, 100.9, 100.1], tolerance=0.01) == []
    assert [step.index for step in exact_steps([100, 100.9, 101.8, 101.9], tolerance=0.01)] == [2]

"""Intervals, outliers and spread: coverage by simulation, ranks by the closed form."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.stats import order_statistic_interval, outliers, spread
from arbench.stats.intervals import hodges_lehmann, proportion_interval, signed_rank_interval

finite = st.floats(-1e6, 1e6)
positive = st.floats(1e-9, 1e3)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("size", [6, 7, 12, 40])
def test_interval_covers_at_least_what_it_says(confidence: float, size: int) -> None:
    rng = np.random.default_rng(size)
    trials, covered, known = 2000, 0, 0
    for _ in range(trials):
        interval = order_statistic_interval(rng.lognormal(0.0, 1.0, size), confidence)
        if interval is not None:
            known += 1
            covered += interval[0] <= 1.0 <= interval[1]
    if confidence <= 0.95:
        assert known == trials
    if known:
        assert covered / known >= confidence - 3 * np.sqrt(confidence * (1 - confidence) / known)


def test_interval_is_as_narrow_as_the_ranks_allow() -> None:
    assert order_statistic_interval([*range(1, 7)]) == (1, 6)
    assert order_statistic_interval([*range(1, 10)]) == (2, 8)
    # Tabulated: n = 20 gives ranks 6 and 15 at 95.9%.
    assert order_statistic_interval([*range(1, 21)]) == (6, 15)


@pytest.mark.parametrize("size", range(1, 40))
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_interval_is_the_closed_form(confidence: float, size: int) -> None:
    """The largest k with 1 - 2 P(fewer than k of n fair coins show heads) above the confidence, in integers."""
    reached = [k for k in range(1, size) if 2**size - 2 * sum(comb(size, i) for i in range(k)) > confidence * 2**size]
    expected = (max(reached), size + 1 - max(reached)) if reached else None
    assert order_statistic_interval(range(size, 0, -1), confidence) == expected


@pytest.mark.parametrize(("confidence", "fewest"), [(0.49, 2), (0.9, 5), (0.95, 6), (0.99, 8), (0.999, 11)])
def test_interval_needs_enough_values(confidence: float, fewest: int) -> None:
    assert order_statistic_interval([1.0] * (fewest - 1), confidence) is None
    assert order_statistic_interval([1.0] * fewest, confidence) == (1.0, 1.0)


@given(st.lists(finite, min_size=6, max_size=60))
def test_interval_contains_the_median_in_any_order(values: list[float]) -> None:
    interval = order_statistic_interval(values)
    assert interval is not None
    assert interval[0] <= np.median(values) <= interval[1]
    assert order_statistic_interval(values[::-1]) == interval


def test_outliers_are_counted_on_both_sides_and_by_factor() -> None:
    usual = np.exp(np.random.default_rng(1).normal(0, 0.01, 50)).clip(0.98, 1.02)
    assert outliers(usual) == 0
    assert outliers([*usual, 2.0, 0.5]) == 2
    for scale in (1e-9, 1e3):
        assert outliers(scale * np.array([*usual, 2.0, 0.5])) == 2


def test_outliers_where_most_values_are_one_tick() -> None:
    assert outliers([1e-6] * 20) == 0
    assert outliers([1e-6] * 20 + [2e-6]) == 1


@given(st.lists(positive, min_size=1, max_size=3))
def test_too_few_values_have_no_outliers(values: list[float]) -> None:
    assert outliers(values) == 0


@given(st.lists(positive, min_size=1, max_size=30), st.sampled_from([0.25, 1.0, 8.0]))
def test_spread_is_relative(values: list[float], scale: float) -> None:
    assert spread([scale * value for value in values]) == pytest.approx(spread(values), abs=1e-9)


def test_spread_of_known_samples() -> None:
    assert spread([5.0]) == 0
    assert spread([1, 2, 3, 4, 5]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("function", [order_statistic_interval, outliers, spread])
@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [1.0, float("inf")]])
def test_values_that_are_none_or_not_finite_are_refused(function, values) -> None:
    with pytest.raises(ValueError, match=r"no values|finite"):
        function(values)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        outliers([0.0, 1.0])
    with pytest.raises(ValueError, match="positive"):
        spread([-1.0])
    for impossible in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="between"):
            order_statistic_interval([1.0], impossible)


def test_the_centre_is_the_median_of_the_means_of_all_pairs() -> None:
    assert hodges_lehmann([1.0, 2.0, 9.0]) == 3.5  # 1, 1.5, 2, 5, 5.5, 9
    assert hodges_lehmann([4.0]) == 4.0
    interval = signed_rank_interval(range(20))
    assert interval is not None
    assert interval[0] == hodges_lehmann(range(20)) == 9.5
    with pytest.raises(ValueError, match="no values"):
        hodges_lehmann([])


def test_the_centre_scatters_less_than_the_median_under_normal_noise() -> None:
    """By theory its variance is two thirds of the median's."""
    samples = np.random.default_rng(3).normal(size=(2000, 30))
    ratio = np.var([hodges_lehmann(one) for one in samples]) / np.var(np.median(samples, axis=1))
    assert 0.6 < ratio < 0.78


@pytest.mark.parametrize(("count", "n"), [(9, 10), (990, 1000), (0, 50), (50, 50)])
def test_the_ends_of_a_proportion_are_as_far_as_a_normal_law_allows(count: int, n: int) -> None:
    for p in proportion_interval(count, n):
        assert n * (count / n - p) ** 2 == pytest.approx(1.959964**2 * p * (1 - p), rel=1e-6, abs=1e-9)
    with pytest.raises(ValueError, match="k"):
        proportion_interval(n + 1, n)

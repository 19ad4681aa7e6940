"""Ratios of independent samples: ranks, coverage and the smallest samples."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from arbench.stats import unpaired
from arbench.stats.unpaired import unpaired_ratio

positive = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=9)


def enumerated(m: int, n: int, confidence: float) -> int:
    """The rank equals its definition, over every choice of the first sample's m ranks out of m + n."""
    statistics = [sum(chosen) - m * (m - 1) // 2 for chosen in combinations(range(m + n), m)]
    tails = [sum(u < k for u in statistics) for k in range(m * n // 2 + 2)]
    return max(k for k, below in enumerate(tails) if 2 * below <= round(1 - confidence, 9) * comb(m + n, m))


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 19), (1, 39), (2, 8), (3, 3), (3, 5), (4, 4), (6, 6), (5, 8), (7, 7)])
def test_the_rank_is_that_of_enumeration(sizes: tuple[int, int], confidence: float) -> None:
    expected = enumerated(*sizes, confidence)
    assert unpaired._rank(*sizes, confidence) == unpaired._rank(*sizes[::-1], confidence) == expected


@pytest.mark.parametrize("sizes", [(6, 6), (6, 12), (10, 7), (20, 20)])
def test_the_interval_contains_exactly_the_shifts_that_scipys_exact_test_keeps(
    sizes: tuple[int, int],
) -> None:
    rng = np.random.default_rng(sum(sizes))
    one, other = (rng.lognormal(0, 0.1, size) for size in sizes)
    found = unpaired_ratio(one, other)
    assert found.ci95 is not None
    for end, outward in zip(found.ci95, (1 - 1e-6, 1 + 1e-6), strict=True):
        for factor, rejected in ((end * outward, True), (end / outward, False)):
            p = mannwhitneyu(one / factor, other, method="exact").pvalue
            assert (p <= 0.05) == rejected


@pytest.mark.parametrize(("m", "fewest"), [(1, 39), (2, 8), (3, 5), (4, 4)])
def test_an_interval_needs_enough_observations(m: int, fewest: int) -> None:
    other = np.linspace(1, 2, fewest)
    mine = np.linspace(1, 1.5, m)
    found = unpaired_ratio(mine, other)
    assert found.ci95 == pytest.approx((1 / 2, 1.5 if m > 1 else 1))
    assert found.range is None
    few = unpaired_ratio(mine, other[1:])
    assert few.ci95 is None
    assert few.range == pytest.approx((1 / 2, (1.5 if m > 1 else 1) / other[1]))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("sizes", [(4, 4), (6, 6), (5, 9)])
def test_it_covers_at_least_what_it_says(sizes: tuple[int, int], confidence: float) -> None:
    rng = np.random.default_rng(1)
    trials, covered = 3000, 0
    for _ in range(trials):
        one, other = (rng.exponential(1.0, size) for size in sizes)
        ends = unpaired_ratio(3.0 * one, other, confidence).ci95
        assert ends is not None
        covered += ends[0] <= 3.0 <= ends[1]
    assert covered / trials >= confidence - 3 * np.sqrt(confidence * (1 - confidence) / trials)


def test_the_estimate_is_the_median_of_all_ratios() -> None:
    found = unpaired_ratio([2.0, 4.0, 64.0], [1.0, 3.0])
    # 2/3, 4/3, 2, 4, 64/3, 64: the mean of the logarithms of the middle two
    assert found.ratio == pytest.approx((2 * 4) ** 0.5)
    assert found.observations == (3, 2)


def test_one_of_each_has_a_ratio_and_nothing_more() -> None:
    found = unpaired_ratio([3.0], [2.0])
    assert (found.ratio, found.ci95, found.range) == (pytest.approx(1.5), None, None)


@given(positive, positive)
def test_exchanging_the_two_inverts_it(one: list[float], other: list[float]) -> None:
    there, back = unpaired_ratio(one, other), unpaired_ratio(other, one)
    assert there.ratio == pytest.approx(1 / back.ratio)
    for ends, swapped in ((there.ci95, back.ci95), (there.range, back.range)):
        assert (ends is None) == (swapped is None)
        if ends is not None and swapped is not None:
            assert ends == pytest.approx((1 / swapped[1], 1 / swapped[0]))
            assert ends[0] <= there.ratio * (1 + 1e-12)
            assert there.ratio <= ends[1] * (1 + 1e-12)


@pytest.mark.parametrize("bad", [[], [0.0], [-1.0, 2.0], [float("nan")], [float("inf")]])
def test_what_has_no_logarithm_is_refused(bad: list[float]) -> None:
    for pair in ((bad, [1.0]), ([1.0], bad)):
        with pytest.raises(ValueError, match=r"no values|positive and finite"):
            unpaired_ratio(*pair)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between"):
        unpaired_ratio([1.0], [1.0], confidence)

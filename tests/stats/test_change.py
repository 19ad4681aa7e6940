"""Changes between versions: rank intervals, thresholds, the second timing, the veto of equal code."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from arbench.stats.change import Decision, Observations, estimate, judge_change

EQUAL = [0.999, 1.001] * 16


def around(change: float, scatter: float = 0.002, n: int = 32) -> list[float]:
    """Return ratios spread evenly around ``1 + change``."""
    return [(1 + change) * math.exp(scatter * (2 * i / (n - 1) - 1)) for i in range(n)]


def never() -> Observations:
    raise AssertionError("there was no reason to run the case again")


def judged(first: float, second: float | None = None, cases: int = 1, **how: float) -> Decision:
    again: Callable[[], Observations] = never if second is None else lambda: Observations(around(second, **how), EQUAL)
    return judge_change(Observations(around(first, **how), EQUAL), again, 0.005, cases)


@pytest.mark.parametrize(("n", "confidence"), [(6, 0.95), (9, 0.98), (12, 0.99)])
def test_the_interval_covers_as_often_as_it_says(n: int, confidence: float) -> None:
    """Over all signs, the interval contains the centre of symmetric values at least as often as its confidence."""
    sizes = np.array([2.0**i for i in range(n)]) / 2**n * 0.1
    held = 0
    for signs in itertools.product((-1, 1), repeat=n):
        found = estimate(list(np.exp(sizes * signs)), confidence)
        assert found.interval is not None
        held += found.interval[0] <= 1e-12 and found.interval[1] >= -1e-12
    assert held / 2**n >= confidence


def test_the_interval_is_no_wider_than_it_must_be() -> None:
    """The smallest sample that reaches 98% needs its whole range."""
    assert estimate([1.01] * 6, 0.98).interval is None
    found = estimate([1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07], 0.98)
    assert found.interval == pytest.approx((0.01, 0.07))
    assert found.change == pytest.approx(math.sqrt(1.03 * 1.05) - 1, abs=2e-4)


def test_exchanging_the_sides_inverts_the_change() -> None:
    ratios = around(0.03)
    there, back = estimate(ratios, 0.99), estimate([1 / ratio for ratio in ratios], 0.99)
    assert there.interval is not None
    assert back.interval is not None
    assert 1 + back.change == pytest.approx(1 / (1 + there.change))
    assert 1 + back.interval[0] == pytest.approx(1 / (1 + there.interval[1]))


@pytest.mark.parametrize("change", [0.01, 0.02, 0.05])
def test_a_change_that_recurs_counts(change: float) -> None:
    assert judged(change, change).outcome == "regression"
    assert judged(1 / (1 + change) - 1, 1 / (1 + change) - 1).outcome == "improvement"


def test_the_reported_change_is_that_of_both_timings() -> None:
    found = judged(0.03, 0.02)
    assert found.outcome == "regression"
    assert found.change.change == pytest.approx(0.025, abs=1e-4)


def test_the_second_timing_may_be_less_clear_but_must_show_the_change_by_itself() -> None:
    """At 2% both timings together are clear; the second one is so or not by its scatter and its own change."""
    first = Observations(around(0.02), EQUAL)
    for change, scatter, outcome in (
        (0.012, 0.025, "regression"),
        (0.012, 0.06, "undecided"),
        (0.003, 0.002, "undecided"),
    ):
        second = Observations(around(change, scatter), EQUAL)
        assert estimate(second.ratios, 0.99).clears(0.005) is None
        assert judge_change(first, lambda found=second: found, 0.005).outcome == outcome  # type: ignore[misc]


def test_timings_that_show_opposite_changes_report_none() -> None:
    first, second = (Observations(around(change), EQUAL) for change in (0.008, -0.05))
    assert estimate(first.ratios, 0.99).clears(0.005) == "slower"
    assert estimate([*first.ratios, *second.ratios], 0.99).clears(0.005) == "faster"
    found = judge_change(first, lambda: second, 0.005)
    assert (found.outcome, found.why) == ("undecided", "0.8% slower at first, but not clearly when timed again")


def test_a_second_timing_that_does_not_show_what_both_together_show_is_told() -> None:
    first, second = Observations(around(0.014, 0.03), EQUAL), Observations(around(0.01, 0.02, n=8), EQUAL)
    assert estimate(first.ratios, 0.99).clears(0.005) is None
    found = judge_change(first, lambda: second, 0.005)
    assert found.outcome == "undecided"
    assert found.why.endswith("slower in all, but not in the second timing by itself")


def test_equal_code_is_the_same_and_is_not_timed_again() -> None:
    assert judged(0.0).outcome == "same"


def test_a_change_below_the_threshold_does_not_count() -> None:
    assert judged(0.004).outcome == "same"


def test_a_change_that_does_not_recur_is_undecided() -> None:
    found = judged(0.02, 0.0)
    assert (found.outcome, found.why) == ("undecided", "2.0% slower at first, but not clearly when timed again")
    assert judged(0.02, -0.02).outcome == "undecided"


def test_too_much_scatter_is_undecided() -> None:
    found = judged(0.0, 0.0, scatter=0.3)
    assert (found.outcome, found.why) == ("undecided", "the interval is too wide to decide")


@pytest.mark.parametrize(("change", "scatter", "outcome"), [(0.0, 0.08, "same"), (0.012, 0.025, "regression")])
def test_a_first_timing_that_decides_nothing_is_doubled(change: float, scatter: float, outcome: str) -> None:
    """The interval of 32 instances is too wide here, and that of 64 is not."""
    first = Observations(around(change, scatter), EQUAL)
    assert estimate(first.ratios, 0.99).clears(0.005) is None
    assert not estimate(first.ratios, 0.9).within(0.015)
    assert judge_change(first, lambda: first, 0.005).outcome == outcome


@pytest.mark.parametrize("equal", [0.02, -0.02])
def test_equal_code_that_differs_vetoes_either_verdict(equal: float) -> None:
    for change in (0.0, 0.05):
        found = judge_change(Observations(around(change), around(equal)), never, 0.005)
        assert found.outcome == "undecided"
        assert found.why == "equal code differed by 2.0% in the same processes"


def test_equal_code_may_differ_in_the_second_timing_too() -> None:
    found = judge_change(Observations(around(0.05), EQUAL), lambda: Observations(around(0.05), around(0.02)), 0.005)
    assert (found.outcome, found.why) == ("undecided", "equal code differed by 2.0% in the same processes")


def test_scatter_of_equal_code_excuses_nothing() -> None:
    wild = around(0.0, scatter=0.2)
    found = judge_change(Observations(around(0.02), wild), lambda: Observations(around(0.02), wild), 0.005)
    assert found.outcome == "regression"


def test_many_cases_need_more() -> None:
    """A change just clear enough for one case is not clear enough for a million."""
    observed = Observations(around(0.014, scatter=0.02), EQUAL)
    assert judge_change(observed, lambda: observed, 0.005).outcome == "regression"
    assert judge_change(observed, lambda: observed, 0.005, cases=10**6).outcome == "undecided"


def test_one_biased_process_raises_no_alarm() -> None:
    ratios = [1.3] * 8 + around(0.0, n=24)
    again = Observations(around(0.0), EQUAL)
    assert judge_change(Observations(ratios, EQUAL), lambda: again, 0.005).outcome in ("same", "undecided")


@pytest.mark.parametrize(
    ("threshold", "change", "bias", "most"),
    [(0.003, 0.003, 0.0, 12), (0.003, 0.003, 0.003, 60), (0.003, 0.0, 0.003, 2)],
    ids=["at the threshold", "at the threshold, with biased processes", "equal code, with biased processes"],
)
def test_alarms_stay_within_the_promise(threshold: float, change: float, bias: float, most: int) -> None:
    """Log-normal instances, each process with a bias of its own, 1,000 checks.

    Up to 0.5% of independent instances may show a change that equals the threshold. Biased processes break the
    assumption, and more than ten times as many do; equal code is kept from it by the threshold.
    """
    rng = np.random.default_rng(5)

    def run() -> Observations:
        def ratios(change: float) -> list[float]:
            biases = np.repeat(rng.normal(0, bias, 4), 8)
            return list(np.exp(rng.normal(math.log1p(change), 0.008, 32) + biases))

        return Observations(ratios(change), ratios(0.0))

    outcomes = [judge_change(run(), run, threshold).outcome for _ in range(1000)]
    assert sum(outcome in ("regression", "improvement") for outcome in outcomes) <= most


def test_too_few_instances_never_count() -> None:
    found = judge_change(Observations([1.5] * 6, [1.0] * 6), never, 0.005)
    assert (found.outcome, found.why) == ("undecided", "too few instances")


@pytest.mark.parametrize("ratios", [[], [1.0, 0.0], [1.0, math.nan], [math.inf]])
def test_ratios_are_positive_and_finite(ratios: list[float]) -> None:
    with pytest.raises(ValueError, match="ratios"):
        estimate(ratios, 0.99)


@pytest.mark.parametrize(("threshold", "cases"), [(0.0, 1), (-0.1, 1), (0.005, 0)])
def test_a_threshold_and_a_case_are_needed(threshold: float, cases: int) -> None:
    with pytest.raises(ValueError, match="needs a threshold above 0 and at least one case"):
        judge_change(Observations(EQUAL, EQUAL), never, threshold, cases)


def test_the_interval_of_the_same_is_the_one_that_says_so() -> None:
    found = judged(0.0, scatter=0.04)
    assert found.outcome == "same"
    assert found.change.within(0.015)
    assert found.change == estimate(around(0.0, 0.04), 0.9)

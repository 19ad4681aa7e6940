"""Ratios and slowdowns of fabricated samples; every expected number is computed by hand."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from arbench.bench.analyse import derive
from arbench.bench.case import CaseKey
from arbench.results import Ratio, Samples, Slowdown


def test_a_ratio_comes_from_shared_rounds_alone(made: ModuleType):
    """In the shared rounds cached takes 1 and naive 4; rounds of only one of them would give another ratio."""
    fast, slow = made.key("cached"), made.key("naive")
    lines = [
        *made.timed(fast, 1.0, 1.0, rounds=2),
        *made.timed(slow, 4.0, 4.0, rounds=2),
        *made.timed(fast, 1.0, 100.0, rounds=3, start=2)[3:],
        Samples(slow.id, 5, 0, 1.7e9, [1e6]),
    ]
    (found,) = made.only(Ratio, derive(made.fabricated([fast, slow], *made.proved(fast, slow), *lines)))
    assert (found.case, found.reference) == (fast.id, slow.id)
    assert found.ratio == pytest.approx(4.0)
    assert found.workers == 2
    assert found.range == (pytest.approx(4.0), pytest.approx(4.0))
    assert found.ci95 is None


def test_a_ratio_of_six_workers_has_an_interval(made: ModuleType):
    fast, slow = made.key("cached"), made.key("naive")
    lines = [*made.timed(fast, *[1.0] * 6), *made.timed(slow, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)]
    (found,) = made.only(Ratio, derive(made.fabricated([fast, slow], *made.proved(fast, slow), *lines)))
    assert found.ratio == pytest.approx(30**0.5)
    assert found.ci95 == (pytest.approx(3.0), pytest.approx(8.0))
    assert found.range is None


def scoring(made: ModuleType, method: str = "parallel", **more: Any) -> CaseKey:
    return made.key(method, op="score", **{"reference": False, **more})


def test_a_slowdown_is_sampling_over_the_fastest_exact_scoring_in_the_same_rounds(made: ModuleType):
    """In the shared rounds sampling takes 6, parallel 2 and sequential 3; a round of scoring alone would change it."""
    sample, parallel, sequential = made.key(), scoring(made), scoring(made, "sequential")
    student, own = scoring(made, "student", exactness="approximate"), scoring(made, "own_samples")
    cases = [sample, parallel, sequential, student, own]
    took = zip(cases, (6.0, 2.0, 3.0, 1.0, 1.0), strict=True)
    lines = [line for case, s in took for line in made.timed(case, *[s + s * w / 100 for w in range(6)])]
    lines += [line for worker in (0, 1) for line in made.timed(parallel, *[9.0] * (worker + 1), start=7)]
    (found,) = made.only(Slowdown, derive(made.fabricated(cases, *made.proved(*cases), *lines)))
    assert (found.sample, found.score, found.workers) == (sample.id, parallel.id, 6)
    assert found.ratio == pytest.approx(3.0)
    assert found.ci95 == pytest.approx((3.0, 3.0))
    assert found.range is None


def test_a_slowdown_of_few_workers_has_a_range(made: ModuleType):
    sample, score = made.key(), scoring(made)
    lines = [*made.timed(sample, 6.0, 8.0), *made.timed(score, 2.0, 2.0)]
    (found,) = made.only(Slowdown, derive(made.fabricated([sample, score], *made.proved(sample, score), *lines)))
    assert (found.ci95, found.range) == (None, pytest.approx((3.0, 4.0)))


@pytest.mark.parametrize("other", [{"n": 16}, {"batch": 4}, {"dtype": "float64"}, {"preset": "nv"}])
def test_there_is_no_slowdown_across_settings(made: ModuleType, other):
    sample, score = made.key(), scoring(made, **other)
    found = derive(
        made.fabricated([sample, score], *made.proved(sample, score), *made.timed(sample, 1.0), *made.timed(score, 1.0))
    )
    assert not made.only(Slowdown, found)


@pytest.mark.parametrize(
    "other",
    [{"n": 16}, {"batch": 2}, {"op": "score"}, {"dtype": "float64"}, {"spec": "m:nv", "preset": "nv"}],
)
def test_there_is_no_ratio_across_settings(made: ModuleType, other):
    fast, slow = made.key("cached"), made.key("naive", **other)
    lines = [*made.timed(fast, 1.0), *made.timed(slow, 4.0)]
    assert made.only(Ratio, derive(made.fabricated([fast, slow], *made.proved(fast, slow), *lines))) == []


def test_there_is_no_ratio_without_a_shared_round(made: ModuleType):
    fast, slow = made.key("cached"), made.key("naive")
    lines = [*made.timed(fast, 1.0), *made.timed(slow, 4.0, start=1)]
    assert made.only(Ratio, derive(made.fabricated([fast, slow], *made.proved(fast, slow), *lines))) == []

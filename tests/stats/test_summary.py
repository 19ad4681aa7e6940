"""Summaries of samples, with workers as the clusters."""

from __future__ import annotations

import numpy as np
import pytest

from arbench.stats import summarise


def _workers(count: int, bias: float, noise: float, seed: int, samples: int = 40):
    rng = np.random.default_rng(seed)
    return {k: np.exp(rng.normal(0, noise, samples) + rng.normal(0, bias)).tolist() for k in range(count)}


def test_a_worker_counts_once_however_many_samples_it_took() -> None:
    summary = summarise({0: [1.0] * 1000, 1: [2.0], 2: [3.0] * 5})
    assert summary.median_s == 2.0
    assert summary.range_s == (1.0, 3.0)
    assert summary.ci95_s is None
    assert (summary.workers, summary.samples) == (3, 1006)


def test_six_workers_give_an_interval_and_no_range() -> None:
    six = {k: [float(k + 1)] for k in range(6)}
    assert summarise(six).ci95_s == (1.0, 6.0)
    assert summarise(six).range_s is None
    del six[5]
    assert summarise(six).ci95_s is None


def test_one_worker_shows_neither() -> None:
    summary = summarise({3: [1.0, 1.1], 4: []})
    assert (summary.workers, summary.ci95_s, summary.range_s) == (1, None, None)


def test_the_interval_covers_although_workers_are_biased() -> None:
    covered = 0
    for seed in range(300):
        interval = summarise(_workers(8, bias=0.03, noise=0.05, seed=seed)).ci95_s
        assert interval is not None
        covered += interval[0] <= 1.0 <= interval[1]
    assert covered / 300 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)


def test_outliers_are_counted_inside_their_worker_and_kept() -> None:
    # The two workers are far apart: in pooled samples the two outliers would be hidden.
    steady = {0: [1.0, 1.01, 0.99, 1.0, 1.02, 1.5], 1: [2.0, 2.01, 1.99, 2.0, 2.02, 1.0]}
    summary = summarise(steady)
    assert summary.outliers == 2
    assert summary.samples == 12


@pytest.mark.parametrize(("bias", "noise", "unstable"), [(0.01, 0.02, False), (0.2, 0.02, True), (0.0, 0.4, True)])
def test_unstable_when_workers_or_samples_disagree(bias, noise, unstable) -> None:
    assert summarise(_workers(6, bias, noise, seed=0)).unstable is unstable


def test_nothing_to_summarise_is_refused() -> None:
    for empty in ({}, {0: []}):
        with pytest.raises(ValueError, match="no samples"):
            summarise(empty)
    with pytest.raises(ValueError, match="positive"):
        summarise({0: [0.0, 1.0]})

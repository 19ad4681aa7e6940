from __future__ import annotations

import numpy as np
import pytest

from arbench.train.baselines.histograms import histograms, independent


def test_probabilities_sum_to_one_at_each_place() -> None:
    train = np.random.default_rng(0).integers(17, size=(50, 6))
    found = histograms(train, 17)
    assert found.min() > 0
    assert found.sum(0) == pytest.approx(np.ones(6), abs=1e-14)


def test_bits_by_hand() -> None:
    """Two events and two levels: (count + 1/2) / 3."""
    train = np.array([[[0, 1]], [[0, 0]]])
    found = independent(train, np.array([[[0, 1]], [[1, 1]]]), 2)
    assert found.shape == (2, 1, 2)
    assert 2.0**-found == pytest.approx(np.array([[[2.5 / 3, 1.5 / 3]], [[0.5 / 3, 1.5 / 3]]]), rel=1e-12)


def test_places_and_held_out_events_do_not_know_of_each_other() -> None:
    rng = np.random.default_rng(1)
    train, held_out = rng.integers(17, size=(40, 8, 8)), rng.integers(17, size=(5, 8, 8))
    other = held_out.copy()
    other[2, 3, 4] = (other[2, 3, 4] + 1) % 17
    changed = independent(train, held_out, 17) != independent(train, other, 17)
    assert changed.sum() <= 1
    assert not np.delete(changed.ravel(), 2 * 64 + 3 * 8 + 4).any()

"""Ratios of cases timed in the same rounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.stats import ratio

rounds = st.dictionaries(st.tuples(st.integers(0, 7), st.integers(0, 5)), st.floats(1e-6, 1e3), min_size=1)


def test_above_one_is_faster_than_the_reference() -> None:
    result = ratio({(0, 0): 1.0, (1, 0): 1.0}, {(0, 0): 2.0, (1, 0): 3.0})
    assert result.ratio == pytest.approx(6**0.5)
    assert result.range == pytest.approx((2.0, 3.0))
    assert (result.ci95, result.workers, result.rounds) == (None, 2, 2)


def test_only_shared_rounds_count() -> None:
    case = {(0, 0): 1.0, (0, 1): 1.0, (0, 2): 100.0}
    reference = {(0, 0): 2.0, (0, 1): 2.0, (0, 3): 1e-3, (1, 0): 7.0}
    result = ratio(case, reference)
    assert result.ratio == pytest.approx(2.0)
    assert (result.workers, result.rounds) == (1, 2)
    with pytest.raises(ValueError, match="no round"):
        ratio({(0, 0): 1.0}, {(0, 1): 1.0})


def test_workers_are_the_clusters() -> None:
    case = {(w, r): 1.0 for w in range(6) for r in range(3)}
    reference = {(w, r): float(w + 1) for w in range(6) for r in range(3)}
    reference |= {(5, r): 6.0 for r in range(3, 50)}
    case |= {(5, r): 1.0 for r in range(3, 50)}
    result = ratio(case, reference)
    assert result.ratio == pytest.approx(12**0.5)
    assert result.ci95 == pytest.approx((1.0, 6.0))
    assert result.range is None


def test_what_slows_a_round_cancels() -> None:
    rng = np.random.default_rng(0)
    keys = [(w, r) for w in range(6) for r in range(20)]
    load = {key: float(np.exp(rng.normal(0, 0.5))) for key in keys}
    result = ratio({k: 1.0 * load[k] for k in keys}, {k: 3.0 * load[k] for k in keys})
    assert result.ratio == pytest.approx(3.0, rel=1e-12)
    assert result.ci95 == pytest.approx((3.0, 3.0))


@given(rounds, st.data())
def test_exchanging_the_two_inverts(case, data) -> None:
    reference = {key: data.draw(st.floats(1e-6, 1e3)) for key in case}
    there, back = ratio(case, reference), ratio(reference, case)
    assert there.ratio * back.ratio == pytest.approx(1.0)
    for one, other in ((there.ci95, back.ci95), (there.range, back.range)):
        if one is not None:
            assert other is not None
            assert one[0] * other[1] == pytest.approx(1.0)


def test_coverage_with_biased_workers() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        bias = rng.normal(0, 0.03, 8)
        keys = [(w, r) for w in range(8) for r in range(10)]
        case = {k: float(np.exp(rng.normal(0, 0.01))) for k in keys}
        reference = {k: float(2 * np.exp(rng.normal(0, 0.01) + bias[k[0]])) for k in keys}
        interval = ratio(case, reference).ci95
        assert interval is not None
        covered += interval[0] <= 2.0 <= interval[1]
    assert covered / 400 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_durations_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio({(0, 0): 0.0}, {(0, 0): 1.0})

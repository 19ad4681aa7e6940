"""Reasons to stop sampling, and their order."""

from __future__ import annotations

import numpy as np

from arbench.stats import reason_to_stop

SHRINKING = [1 / np.sqrt(n) for n in range(1, 200)]


def test_sampling_continues_without_an_interval() -> None:
    assert reason_to_stop([], 0.01, 0.0, 60.0) is None
    assert reason_to_stop([None, None], 0.01, 0.0, 60.0) is None


def test_target_is_reached_by_the_latest_width() -> None:
    assert reason_to_stop([None, 0.5, 0.009], 0.01, 0.0, 60.0) == "target"
    assert reason_to_stop([None, 0.009, 0.5], 0.01, 0.0, 60.0) is None


def test_ideal_shrinking_is_no_plateau() -> None:
    for length in range(1, len(SHRINKING)):
        assert reason_to_stop(SHRINKING[:length], 0.0, 0.0, 60.0) is None


def test_a_floor_is_a_plateau_but_not_at_once() -> None:
    floor = [0.05 + width / 20 for width in SHRINKING]
    reasons = [reason_to_stop(floor[:length], 0.0, 0.0, 60.0) for length in range(1, 60)]
    assert reasons[10] is None
    assert "plateau" in reasons
    assert reason_to_stop([0.05] * 11, 0.0, 0.0, 60.0) is None
    assert reason_to_stop([0.05] * 12, 0.0, 0.0, 60.0) == "plateau"


def test_budget_is_the_last_reason() -> None:
    assert reason_to_stop([0.5], 0.01, 60.0, 60.0) == "budget"
    assert reason_to_stop([], 0.01, 61.0, 60.0) == "budget"
    assert reason_to_stop([0.05] * 12, 0.01, 61.0, 60.0) == "plateau"
    assert reason_to_stop([0.005], 0.01, 61.0, 60.0) == "target"

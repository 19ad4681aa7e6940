"""The time of a probe is that in which it computed, up to a share of the clock."""

from __future__ import annotations

import time

import pytest

from arbench.bench.models.leaks.spent import ALONE, Spent


@pytest.mark.parametrize(("computed", "clock", "spent"), [(3.0, 5.0, 3.0), (0.5, 8.0, 8.0 / ALONE)])
def test_what_counts_is_computing_or_a_share_of_the_clock(
    computed: float, clock: float, spent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("thread_time", computed), ("perf_counter", clock)):
        values = iter((100.0, 100.0 + seconds))
        monkeypatch.setattr(time, name, lambda values=values: next(values))
    assert Spent().seconds == pytest.approx(spent)

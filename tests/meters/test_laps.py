"""The stopwatch for parts of calls."""

from __future__ import annotations

import pytest

from arbench.meters import laps
from arbench.meters.laps import Laps


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the time that the clock shows, in nanoseconds, to be moved by hand."""
    now = [5]
    monkeypatch.setattr(laps, "perf_counter_ns", lambda: now[0])
    return now


def test_parts_of_calls_are_timed_apart(hands: list[int]) -> None:
    stopwatch = Laps("cpu")
    for steps in ([300, 20, 70], [400]):
        stopwatch.start()
        for step in steps:
            hands[0] += step
            stopwatch.lap()
        hands[0] += 1_000_000  # between calls
    assert stopwatch.calls == [[300e-9, 20e-9, 70e-9], [400e-9]]
    assert stopwatch.within == [0.0, 0.0]
    stopwatch.clear()
    assert (stopwatch.calls, stopwatch.within) == ([], [])


def test_functions_are_timed_within_their_call_and_parts_include_them(hands: list[int]) -> None:
    def takes(nanoseconds: int) -> int:
        hands[0] += nanoseconds
        return nanoseconds

    stopwatch = Laps("cpu")
    stopwatch.start()
    assert stopwatch.timed(lambda: takes(30)) == 30
    takes(100)
    stopwatch.lap()
    stopwatch.timed(lambda: takes(12))
    stopwatch.lap()
    stopwatch.start()
    assert stopwatch.within == [42e-9, 0.0]
    assert stopwatch.calls == [[130e-9, 12e-9], []]


def test_no_part_takes_no_time(hands: list[int]) -> None:
    stopwatch = Laps("cpu")
    stopwatch.start()
    stopwatch.lap()
    assert stopwatch.calls == [[1e-9]]

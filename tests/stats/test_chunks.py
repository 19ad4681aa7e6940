"""The pace of a stream, from chunks whose times are made up."""

from __future__ import annotations

import pytest

from arbench.stats.chunks import FEWEST_FOR_P99, Pace, pace


def test_a_worker_counts_once_and_the_worst_gap_is_that_of_any_call() -> None:
    calls = {
        0: [[9.0, 1.0, 1.0, 8.0], [9.0, 1.0, 1.0, 1.0]],
        1: [[5.0, 3.0, 3.0, 3.0]],
        2: [[6.0, 2.0, 2.0, 2.0]],
        3: [],
    }
    assert pace(calls, partial=False) == Pace(6.0, 12, 2.0, 8.0, None)


def test_a_last_chunk_of_fewer_elements_has_no_gap() -> None:
    assert pace({0: [[9.0, 2.0, 3.0, 50.0]]}, partial=True) == Pace(9.0, 2, 2.5, 3.0, None)


@pytest.mark.parametrize("partial", [False, True])
def test_one_chunk_has_no_gap(partial: bool) -> None:
    assert pace({0: [[9.0]]}, partial) == Pace(9.0)
    assert pace({0: [[9.0, 4.0]]}, partial=True) == Pace(9.0)


def test_a_99th_percentile_needs_459_gaps() -> None:
    assert FEWEST_FOR_P99 == 459
    gaps = [float(number) for number in range(1, 460)]
    assert pace({0: [[1.0, *gaps[1:]]]}, partial=False).gap_p99_s is None
    found = pace({0: [[1.0, *gaps[:200]]], 1: [[1.0, *gaps[200:]]]}, partial=False)
    assert found.gaps == 459
    assert found.gap_p99_s == pytest.approx(454.42)  # one in a hundred of 1 to 459 lies above
    assert found.gap_worst_s == 459.0


@pytest.mark.parametrize("calls", [{}, {0: []}, {0: [[]]}])
def test_no_chunks_have_no_pace(calls: dict[int, list[list[float]]]) -> None:
    with pytest.raises(ValueError, match=r"^no chunks$"):
        pace(calls, partial=False)

"""The keys by which the rows of a table are sorted."""

from __future__ import annotations

import pytest

from arbench.report.html.sorting import sort_keys


@pytest.mark.parametrize(
    ("cells", "keys"),
    [
        (["12.3 [12.1, 12.6]", "4", "—"], ["12.3", "4", ""]),
        (["1,024", "64", ""], ["1024", "64", ""]),
        (["3.07x [3.01, 3.12]", "0.044x"], ["3.07", "0.044"]),
        (["12.3 ms", "1.2 s", "900 µs"], ["0.0123", "1.2", "0.0009"]),
        (["3 GFLOP/s", "12 MB/s"], ["3000000000", "12000000"]),
        (["O(N)", "O(1)", "at most O(N²)", "O(log N)"], ["3", "0", "5", "1"]),
        (["naive", "—", "cached"], [None, "", None]),
        (["2d", "conv"], [None, None]),
        (["100%", "7%"], ["100", "7"]),
        (["130*", "24,448+"], ["130", "24448"]),
        (["2026-01-05 09:30", "2025-12-31 10:00"], [None, None]),
        (["00000000000c", "0123456789ab"], [None, None]),
    ],
)
def test_numbers_units_and_classes_have_their_order(cells, keys) -> None:
    assert sort_keys(cells) == keys


def test_words_among_numbers_come_last() -> None:
    assert sort_keys(["reference", "5.5x", "over budget"], number=True) == ["", "5.5", ""]


def test_a_column_of_numbers_without_any_is_sorted_as_words() -> None:
    assert sort_keys(["over budget", "failed"], number=True) == [None, None]

"""Numbers as text: prefixes, places and rounding."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.stats import format_interval, format_ratio, format_seconds, format_si
from arbench.stats.digits import format_apart, last_place, round_down

PREFIX = {"p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.012345, (0.0122, 0.0125), "12.3 ms"),
        (0.012344, (0.01234, 0.01235), "12.34 ms"),
        (0.012345, (0.010, 0.015), "12 ms"),
        (0.012345, (0.002, 0.042), "0.01 s"),
        (0.123, (0.100, 0.140), "0.12 s"),
        (0.000999, (0.000998, 0.001), "999 µs"),
        (0.0009999, (0.00097, 0.00103), "1.00 ms"),
        (3.2e-9, None, "3.2 ns"),
        (123.4, (123.1, 123.6), "123.4 s"),
        (1234.0, (1100.0, 1300.0), "1,200 s"),
        (0.5, (0.5, 0.5), "500.0 ms"),
        (0.0, None, "0.0 s"),
    ],
)
def test_seconds(value: float, interval: tuple[float, float] | None, text: str) -> None:
    assert format_seconds(value, interval) == text


def test_rates_and_ratios() -> None:
    assert format_si(16_384.0, "/s", (16_000.0, 16_900.0)) == "16.4 k/s"
    assert format_si(1.234e9, "FLOP", (1.234e9, 1.234e9)) == "1.234 GFLOP"
    assert format_ratio(183.27, (175.0, 190.0)) == "183x"
    assert format_ratio(1.0234, (1.011, 1.034)) == "1.02x"
    assert format_ratio(3.14159) == "3.1x"


def test_interval_shares_prefix_and_place_and_rounds_outward() -> None:
    assert format_interval(0.012345, (0.01221, 0.01254), "s") == "[12.2, 12.6]"
    assert format_interval(0.012345, (0.01221, 0.01254), "s", ends="()") == "(12.2, 12.6)"
    assert format_interval(12.3, (12.1, 12.6), "x") == "[12.1, 12.6]"
    assert format_interval(0.123, (0.1, 0.14), "s") == "[0.10, 0.14]"


def test_an_end_that_is_not_0_is_not_printed_as_0() -> None:
    assert format_interval(0.14, (0.09, 0.32), "s") == "[0.09, 0.32]"
    assert format_interval(14.0, (9.0, 31.0), "x") == "[9, 31]"
    assert format_interval(0.1, (0.0, 0.32), "s") == "[0.0, 0.4]"
    assert format_interval(1.0, (1e-300, 3.0), "x") == "[0.00000, 3.00000]"


def _digits(text: str) -> int:
    number = re.sub(r"[^0-9]", "", text.split()[0])
    return len(number.lstrip("0"))


@given(st.floats(1e-8, 9.4), st.floats(1e-6, 0.9))
def test_no_digit_below_the_half_width(value: float, relative: float) -> None:
    interval = (value * (1 - relative), value * (1 + relative))
    text = format_seconds(value, interval)
    number, unit = text.split()
    decimals = len(number.partition(".")[2])
    place = PREFIX[unit.removesuffix("s")] - decimals
    assert 10.0**place >= 0.099 * value * relative
    assert _digits(text) <= 5  # four, and one more where rounding carries
    assert float(number.replace(",", "")) * 10.0 ** PREFIX[unit[:-1]] == pytest.approx(value, abs=0.51 * 10.0**place)


@given(st.floats(1e-8, 90.0), st.floats(1e-6, 0.9), st.floats(1e-6, 0.9))
def test_printed_interval_contains_the_interval(value: float, below: float, above: float) -> None:
    low, high = value * (1 - below), value * (1 + above)
    unit = format_seconds(value, (low, high)).split()[1]
    ends = format_interval(value, (low, high), "s")
    scale = 10.0 ** PREFIX[unit.removesuffix("s")]
    printed = [float(end) * scale for end in ends[1:-1].replace(",", "").split()]
    tick = 10.0 ** last_place(value, (low, high))
    assert printed[0] <= low + 1e-6 * tick
    assert printed[1] >= high - 1e-6 * tick
    assert printed[1] - printed[0] <= high - low + 2.001 * tick


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    for function in (format_seconds, format_ratio):
        with pytest.raises(ValueError, match="cannot format"):
            function(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.998, "0.99"), (1.0, "1.0"), (7.98, "7.9"), (15.98, "15"), (127.6, "127"), (0.0299, "0.029"), (1234.9, "1,234")],
)
def test_counts_are_never_rounded_up(value: float, shown: str) -> None:
    assert round_down(value) == shown
    assert round_down(3 * 0.1 / 0.1) == "3.0"


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        ((0.016, 0.05), ("16 ms", "50 ms")),
        ((0.0004375, 0.00043812), ("437.5 µs", "438.1 µs")),
        ((0.0101, 0.0102), ("10.1 ms", "10.2 ms")),
        ((0.0004375, 0.00043750001), ("437.5 µs", "437.5 µs")),
    ],
)
def test_two_numbers_get_the_digits_that_tell_them_apart(pair: tuple[float, float], shown: tuple[str, str]) -> None:
    assert format_apart(*pair, "s") == shown

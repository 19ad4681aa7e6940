"""The roofline: the lower roof, and the bandwidth at a working set."""

from __future__ import annotations

import pytest

from arbench.stats.roofline import bandwidth, product, roof

LIMITS = {
    "copy": [{"bytes": 1 << 20, "gb_per_s": 40.0}, {"bytes": 1 << 24, "gb_per_s": 8.0}],
    "read": [{"bytes": 1 << 20, "gb_per_s": 80.0}, {"bytes": 1 << 24, "gb_per_s": 16.0}],
    "matmul": {"float32": 100.0},
}


@pytest.mark.parametrize(
    ("working_set", "expected"),
    [(1, 80.0), (1 << 20, 80.0), (1 << 22, 48.0), (1 << 24, 16.0), (1 << 40, 16.0)],
)
def test_the_better_bandwidth_between_measured_sets(working_set, expected):
    assert bandwidth(LIMITS, working_set) == pytest.approx(expected)


def test_a_larger_set_with_more_bandwidth_sets_that_of_smaller_ones():
    rising = {"read": [{"bytes": n, "gb_per_s": rate} for n, rate in ((100, 5.0), (200, 3.0), (400, 9.0))]}
    assert bandwidth(rising, 50) == bandwidth(rising, 150) == bandwidth(rising, 300) == 9.0


def test_little_arithmetic_per_byte_is_memory_bound():
    found = roof(16 * 10**9, 10**9, LIMITS, "float32")
    assert found is not None
    assert (found.bound, found.gb_per_s, found.gflop_per_s) == ("memory", 16.0, 100.0)
    assert found.limit_s == pytest.approx(1.0)


def test_much_arithmetic_per_byte_is_compute_bound():
    found = roof(1 << 20, 10**11, LIMITS, "float32")
    assert found is not None
    assert found.bound == "compute"
    assert found.limit_s == pytest.approx(1.0)


def test_the_working_set_of_repeated_calls_sets_the_bandwidth():
    assert roof(1 << 20, 0, LIMITS, "float32").gb_per_s == 80.0
    assert roof(1 << 20, 0, LIMITS, "float32", working_set=1 << 30).gb_per_s == 16.0


@pytest.mark.parametrize(
    ("limits", "dtype"),
    [
        ({}, "float32"),
        (LIMITS, "float16"),
        ({"matmul": {"float32": 1.0}}, "float32"),
        ({"copy": [], "read": [], "matmul": {"float32": 1.0}}, "float32"),
    ],
)
def test_an_unmeasured_limit_is_none(limits, dtype):
    assert roof(8, 8, limits, dtype) is None


def test_float32_may_be_three_products_in_tf32():
    slow, fast = {"matmul": {"float32": 50.0, "tf32": 90.0}}, {"matmul": {"float32": 50.0, "tf32": 450.0}}
    assert [product(limits, "float32") for limits in (slow, fast, {})] == [50.0, 150.0, None]
    assert product(fast, "float64") is None
    assert roof(0, 10**9, LIMITS | fast, "float32").gflop_per_s == 150.0


def test_nothing_to_do_has_no_limit():
    assert roof(0, 0, LIMITS, "float32") is None

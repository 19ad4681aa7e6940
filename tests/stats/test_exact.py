"""Exact fits: every class is recovered from integers, near misses are not, extrapolation is exact or refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.stats import CLASSES, extrapolator, fit_exact

POWERS = [256, 512, 1024, 2048, 4096]
IMAGES = [48, 108, 192, 432, 768]
SQUARES = [64, 256, 1024, 4096, 16384]


def log(n: int) -> int:
    return (n - 1).bit_length()


EXACT = {
    "1": lambda n: 1,
    "log N": log,
    "sqrt N": math.isqrt,
    "N": lambda n: n,
    "N log N": lambda n: n * log(n),
    "N^2": lambda n: n * n,
    "N^3": lambda n: n**3,
}


@pytest.mark.parametrize("name", CLASSES)
@given(slope=st.integers(1, 10**6), intercept=st.integers(0, 10**6))
def test_every_class_is_recovered_exactly(name: str, slope: int, intercept: int) -> None:
    values = [intercept + slope * EXACT[name](n) for n in SQUARES]
    growth = fit_exact(SQUARES, values)
    assert growth.fitted == name
    assert growth.residual == 0
    assert growth.lower == ()
    if name == "1":
        assert (growth.intercept, growth.slope, growth.exponent) == (slope + intercept, 0, 0)
    else:
        assert (growth.intercept, growth.slope) == (intercept, slope)
    for n in (4, 2**20):
        assert growth.predict(n) == pytest.approx(intercept + slope * EXACT[name](n), rel=1e-12)


@pytest.mark.parametrize(("name", "exponent"), [("sqrt N", 0.5), ("N", 1.0), ("N^2", 2.0), ("N^3", 3.0)])
def test_powers_have_their_nominal_exponent(name: str, exponent: float) -> None:
    assert fit_exact(SQUARES, [7 + 3 * EXACT[name](n) for n in SQUARES]).exponent == exponent


def test_a_logarithm_grows_slower_than_any_power() -> None:
    exponent = fit_exact(POWERS, [7 + 3 * log(n) for n in POWERS]).exponent
    assert exponent is not None
    assert 0 < exponent < 0.25


@given(a=st.integers(1, 500), b=st.integers(-50, 500), c=st.integers(-50, 500))
def test_raster_scan_with_a_constant_per_row(a: int, b: int, c: int) -> None:
    rows = [math.isqrt(n // 3) for n in IMAGES]
    values = [a * n + b * row + c for n, row in zip(IMAGES, rows, strict=True)]
    growth = fit_exact(IMAGES, values)
    assert growth.fitted == "N"
    assert [name for name, _ in growth.lower] == (["sqrt N"] if b else [])
    assert growth.predict(3 * 32 * 32) == pytest.approx(a * 3072 + b * 32 + c, rel=1e-12)


def test_three_terms_need_five_sizes() -> None:
    values = [7 * n + 5 * math.isqrt(n // 3) + 9 for n in IMAGES]
    assert fit_exact(IMAGES, values).formula == "7·N + 5·√(N/3) + 9"
    assert fit_exact(IMAGES[:4], values[:4]).fitted is None


def test_sqrt_is_not_offered_where_it_is_irrational() -> None:
    values = [3 * math.isqrt(n) + 1 for n in POWERS]
    assert fit_exact(POWERS, values).fitted is None


def test_a_scan_counts_the_ceiling_of_the_logarithm() -> None:
    sizes = [100, 300, 700, 1500, 5000]
    growth = fit_exact(sizes, [2 * log(n) + 11 for n in sizes])
    assert growth.formula == "2·⌈log₂ N⌉ + 11"
    assert growth.predict(100_000) == 2 * 17 + 11


def test_fewer_terms_win() -> None:
    assert fit_exact(POWERS, [5] * 5).formula == "5"
    assert fit_exact(POWERS, [5 * n for n in POWERS]).formula == "5·N"
    assert fit_exact(POWERS, [n * (n - 1) // 2 for n in POWERS]).formula == "(1/2)·N² - (1/2)·N"


def test_order_of_sizes_does_not_matter() -> None:
    values = [221 * n + 3 for n in POWERS]
    assert fit_exact(POWERS[::-1], values[::-1]) == fit_exact(POWERS, values)


@given(st.integers(0, 4), st.integers(1, 3))
def test_one_value_off_is_no_exact_fit(index: int, error: int) -> None:
    values = [221 * n + 3 for n in POWERS]
    values[index] += error
    growth = fit_exact(POWERS, values)
    assert growth.fitted is None
    assert growth.exponent == pytest.approx(1.0, abs=0.01)
    with pytest.raises(ValueError, match="nothing was fitted"):
        growth.predict(4)


def test_three_sizes_name_no_class() -> None:
    growth = fit_exact([1, 2, 4], [5, 5, 5])
    assert (growth.fitted, growth.exponent, growth.residual) == (None, None, None)


def test_falling_values_name_no_class() -> None:
    assert fit_exact(POWERS, [10**6 - n for n in POWERS]).fitted is None


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([1, 2], [1], "2 sizes but 1 values"),
        ([], [], "no sizes"),
        ([4, 4], [1, 2], "twice"),
        ([0, 4], [1, 2], "at least 1"),
        ([2, 4], [1, 2.5], "not an integer"),
    ],
)
def test_bad_data_is_refused(sizes, values, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit_exact(sizes, values)


def test_extrapolation_is_exact_far_beyond_float64() -> None:
    def flops(n: int) -> int:
        return 3 * n * n + 7 * n + 1

    predict = extrapolator([64, 128, 192, 256], [flops(n) for n in (64, 128, 192, 256)], (320, flops(320)))
    assert predict is not None
    assert predict(10**10) == flops(10**10)


def test_extrapolation_with_rows() -> None:
    def depth(n: int) -> int:
        return 3 * n + 2 * math.isqrt(n // 3) + 5

    sizes = [12, 48, 108, 192]
    predict = extrapolator(sizes, [depth(n) for n in sizes], (300, depth(300)))
    assert predict is not None
    assert predict(3072) == depth(3072)
    with pytest.raises(ValueError, match="has no integer value at n = 3071"):
        predict(3071)


def test_extrapolation_is_withheld_when_the_held_out_size_is_missed() -> None:
    sizes, values = [64, 128, 256], [221 * n + 3 for n in (64, 128, 256)]
    assert extrapolator(sizes, values, (512, 221 * 512 + 3)) is not None
    assert extrapolator(sizes, values, (512, 221 * 512 + 4)) is None
    assert extrapolator(sizes[:2], values[:2], (512, 221 * 512 + 3)) is None
    with pytest.raises(ValueError, match="is among the sizes"):
        extrapolator(sizes, values, (64, values[0]))


def test_extrapolation_refuses_fractions() -> None:
    sizes = [2, 4, 6]
    predict = extrapolator(sizes, [n // 2 for n in sizes], (8, 4))
    assert predict is not None
    assert predict(100) == 50
    with pytest.raises(ValueError, match="n = 101"):
        predict(101)

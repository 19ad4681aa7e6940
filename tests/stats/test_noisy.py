"""Fits of durations: classes and exponents are recovered from noise, and chaos names no class."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arbench.stats import CLASSES, fit_exact, fit_noisy, judge
from arbench.stats.classes import basis
from arbench.stats.noisy import free_exponent

POWERS = [256, 512, 1024, 2048, 4096]

SECONDS = {
    "1": lambda n: 1e-3,
    "log N": lambda n: 1e-4 * math.log2(n),
    "sqrt N": lambda n: 1e-4 + 1e-4 * math.sqrt(n),
    "N": lambda n: 1e-3 + 1e-5 * n,
    "N log N": lambda n: 1e-6 * n * math.log2(n),
    "N^2": lambda n: 1e-3 + 1e-7 * n * n,
    "N^3": lambda n: 1e-3 + 1e-9 * n**3,
}


def durations(name: str, rng: np.random.Generator, workers: int = 3, noise: float = 0.02):
    bias = rng.normal(0, 0.03, workers)
    return {
        k: {n: float(SECONDS[name](n) * np.exp(rng.normal(0, noise) + bias[k])) for n in POWERS} for k in range(workers)
    }


@pytest.mark.parametrize("name", CLASSES)
def test_noisy_classes_are_recovered(name: str) -> None:
    rng = np.random.default_rng(CLASSES.index(name))
    fits = [fit_noisy(POWERS, durations(name, rng)) for _ in range(30)]
    assert sum(fit.fitted == name for fit in fits) >= 28
    assert all(name in (fit.fitted, *fit.rivals) for fit in fits)
    assert sum(fit.rivals == () for fit in fits) >= 24


@pytest.mark.parametrize(("name", "exponent"), [("sqrt N", 0.5), ("N", 1.0), ("N^2", 2.0), ("N^3", 3.0)])
def test_interval_of_the_exponent_covers(name: str, exponent: float) -> None:
    rng = np.random.default_rng(10)
    fits = [fit_noisy(POWERS, durations(name, rng)) for _ in range(60)]
    intervals = [fit.exponent_ci95 for fit in fits]
    covered = sum(ci is not None and ci[0] <= exponent <= ci[1] for ci in intervals)
    assert covered >= 0.95 * 60 - 3 * math.sqrt(60 * 0.95 * 0.05)
    assert all(ci is not None and ci[1] - ci[0] < 0.8 for ci in intervals)


def test_a_constant_has_exponent_zero_and_no_interval() -> None:
    growth = fit_noisy(POWERS, durations("1", np.random.default_rng(0)))
    assert (growth.fitted, growth.exponent, growth.exponent_ci95) == ("1", 0.0, None)
    assert growth.predict(10**6) == pytest.approx(1e-3, rel=0.1)


def test_overhead_does_not_hide_growth() -> None:
    growth = fit_noisy(POWERS, {0: {n: 0.05 + 1e-5 * n for n in POWERS}})
    assert growth.fitted == "N"
    assert growth.intercept == pytest.approx(0.05)
    assert growth.slope == pytest.approx(1e-5)
    assert growth.exponent == pytest.approx(1.0, abs=1e-3)


def test_a_slow_worker_does_not_widen_the_noise() -> None:
    steady = {n: 1e-3 + 1e-5 * n for n in POWERS}
    growth = fit_noisy(POWERS, {k: {n: s * (1 + k) for n, s in steady.items()} for k in range(3)})
    assert growth.fitted == "N"
    assert growth.rivals == ()


def test_samples_by_size_serve_as_well() -> None:
    rng = np.random.default_rng(3)
    samples = [(SECONDS["N"](n) * np.exp(rng.normal(0, 0.02, 30))).tolist() for n in POWERS]
    assert fit_noisy(POWERS, samples).fitted == "N"


@pytest.mark.parametrize("sizes", [POWERS[:3], [256, 300, 400, 500, 1000]])
def test_sizes_that_do_not_span_enough_name_no_class(sizes: list[int]) -> None:
    growth = fit_noisy(sizes, {0: {n: 1e-5 * n for n in sizes}})
    assert growth.fitted is None


def test_noise_makes_rivals_and_chaos_names_nothing() -> None:
    rng = np.random.default_rng(0)
    noisy = [fit_noisy(POWERS, durations("N", rng, 1, 0.25)) for _ in range(10)]
    assert any(fit.rivals for fit in noisy)
    chaos = dict(zip(POWERS, [1.0, 50.0, 0.1, 80.0, 0.01], strict=True))
    assert fit_noisy(POWERS, {0: chaos}).fitted is None


def test_times_that_scatter_too_much_name_no_class() -> None:
    """Neither a constant that is off by more than half, nor a growth with any exponent between 0 and 4."""
    seen = dict(zip(POWERS, [0.93e-3, 1.2e-3, 2.6e-3, 37e-3, 6e-3], strict=True))
    assert fit_noisy(POWERS, {k: {n: s * 6**k for n, s in seen.items()} for k in (-1, 0, 1)}).fitted is None


def test_bad_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="no values at size 512"):
        fit_noisy([256, 512], {0: {256: 1.0}})
    for value in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="positive and finite"):
            fit_noisy([256, 512], {0: {256: 1.0, 512: value}})


def flat_then_linear(hinge: int, sizes: list[int], noise: float, rng: np.random.Generator):
    """Return seconds of a device that a size of ``hinge`` fills."""
    return {k: {n: 1e-6 * max(hinge, n) * float(np.exp(rng.normal(0, noise))) for n in sizes} for k in range(3)}


DOUBLED, QUADRUPLED = [64, 128, 256, 512, 1024], [16, 64, 256, 1024, 4096]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.02, 0.05])
def test_flat_and_then_linear_is_no_class_and_no_power(noise: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        growth = fit_noisy(DOUBLED, flat_then_linear(256, DOUBLED, noise, rng))
        assert (growth.fitted, growth.exponent, growth.exponent_ci95) == (None, None, None)
        assert judge("N", growth, exact=False)[0] == judge("N^2", growth, exact=False)[0] == "undecided"


@pytest.mark.parametrize("hinge", range(300, 1000, 73))
def test_without_noise_a_flat_part_that_ends_anywhere_is_seen(hinge: int) -> None:
    growth = fit_noisy(QUADRUPLED, flat_then_linear(hinge, QUADRUPLED, 0.0, np.random.default_rng(0)))
    assert (growth.fitted, growth.exponent) == (None, None)


@pytest.mark.parametrize("sizes", [DOUBLED, QUADRUPLED], ids=["doubled", "quadrupled"])
@pytest.mark.parametrize("hinge", [100, 180, 400, 512, 700])
def test_wherever_the_flat_part_ends_the_rest_does_not_grow_faster(hinge: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(hinge)
    fits = [fit_noisy(sizes, flat_then_linear(hinge, sizes, 0.02, rng)) for _ in range(30)]
    assert sum(fit.fitted is not None for fit in fits) <= 2
    assert sum(judge("N", fit, exact=False)[0] == "fails" for fit in fits) <= 5


def test_counts_that_are_flat_and_then_linear_refute_nothing() -> None:
    growth = fit_exact(DOUBLED, [max(200, n) for n in DOUBLED])
    assert (growth.fitted, growth.exponent) == (None, None)
    assert judge("N", growth, exact=True)[0] == "undecided"


def test_the_class_named_lies_in_its_own_interval() -> None:
    """Sums of a constant, N and N^2 look like N log N, whose own exponent over these sizes is 1.33."""
    rng, sizes, named = np.random.default_rng(5), [4, 8, 16, 32, 64, 128, 256], set()
    for _ in range(100):
        a, b, c = rng.uniform(0, 1, 3) * 10.0 ** rng.uniform(-2, 2, 3)
        exact = {n: 50 * a + b * n + c * n * n / 50 for n in sizes}
        growth = fit_noisy(
            sizes, {k: {n: s * float(np.exp(rng.normal(0, 0.02))) for n, s in exact.items()} for k in range(3)}
        )
        named.add(growth.fitted)
        if growth.fitted not in (None, "1"):
            own, _ = free_exponent(sizes, [basis(growth.fitted, n) for n in sizes])
            assert growth.exponent_ci95 is not None
            assert own is not None
            assert growth.exponent_ci95[0] - 1e-6 <= own <= growth.exponent_ci95[1] + 1e-6
    assert {None, "N", "N log N", "N^2"} <= named


def test_a_class_that_its_interval_denies_is_not_named() -> None:
    """Between N log N and N^2 the former may predict best, where the exponent says N^1.72."""
    sizes = [4, 8, 16, 32, 64, 128, 256]
    seconds = {0: {n: 1e-6 * (120 + n * math.log2(n) + 0.04 * n * n) for n in sizes}}
    growth = fit_noisy(sizes, seconds)
    assert growth.exponent_ci95 is not None
    assert growth.exponent_ci95[0] > 1.33 + 0.05
    assert growth.fitted != "N log N"
    assert judge("N log N", growth, exact=False)[0] != "holds"


def test_values_that_leave_no_room_for_two_terms_are_fitted_without_a_warning():
    """The smallest of the values outweighs the others by 10^16, so that rounding leaves the two terms alike."""
    exponent, interval = free_exponent([64, 128, 256, 512], [86392832.0, 1.0, 344342528.0, 688685056.0])
    assert exponent is not None
    assert interval is not None
    assert all(0 <= value < 4.02 for value in (exponent, *interval))  # the powers that are tried end at 4

"""Shares of a call's time, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from arbench.stats.shares import shares

LIMITS = {
    "copy": [{"bytes": 1 << 10, "gb_per_s": 100.0}, {"bytes": 1 << 20, "gb_per_s": 10.0}],
    "matmul": {"float32": 50.0, "float64": 25.0},
}
CACHE, MEMORY = 1 << 10, 1 << 20


@dataclass
class Spent:
    name: str
    calls: int
    seconds: float
    arranging_s: float = 0.0
    kernels: int = 0


@dataclass
class Asked:
    name: str
    flops: int = 0
    traffic: tuple[tuple[int, int], ...] = ()
    dtype: str = "float32"


def divided(spent, work, operator_s=1e-6, arranging_s=0.0, limits=LIMITS):
    found = shares(spent, arranging_s, work, limits, operator_s)
    assert found is not None
    given = arranging_s + sum(one.seconds for one in spent)
    assert found.fixed_s + found.slower_s + found.limit_s == pytest.approx(given)
    return found


def test_each_call_is_bound_by_the_longer_of_flops_and_bytes():
    """10 kB take 0.1 us from the cache and 1 us from memory; 100,000 FLOPs take 2 us, in float64 4 us."""
    work = [
        Asked("mm", 100_000, ((10_000, MEMORY),)),
        Asked("mm", 100_000, ((10_000, CACHE),), "float64"),
        Asked("mm", 1000, ((10_000, MEMORY), (10_000, CACHE))),
        Asked("copy", 0, ((10_000, CACHE),)),
    ]
    found = divided([Spent("mm", 3, 20e-6), Spent("copy", 1, 5e-6)], work)
    assert found.arithmetic_s == pytest.approx(6e-6)
    assert found.memory_s == pytest.approx(1.1e-6 + 0.1e-6)
    assert found.fixed_s == pytest.approx(4e-6)
    assert [one.limit_s for one in found.operators] == [pytest.approx(7.1e-6), pytest.approx(0.1e-6)]


def test_a_fixed_cost_is_at_most_what_is_beyond_the_limit():
    found = divided([Spent("mm", 1, 2.5e-6)], [Asked("mm", 100_000)])
    assert (found.fixed_s, found.slower_s) == (pytest.approx(0.5e-6), pytest.approx(0.0))


def test_operators_that_do_no_work_are_a_fixed_cost():
    found = divided([Spent("mm", 1, 9e-6, arranging_s=2e-6)], [Asked("mm", 100_000)], arranging_s=7e-6)
    assert found.fixed_s == pytest.approx(7e-6 + 2e-6 + 1e-6)


def test_on_a_gpu_each_kernel_has_a_fixed_cost():
    assert divided([Spent("mm", 1, 9e-6, kernels=3)], [Asked("mm", 100_000)]).fixed_s == pytest.approx(3e-6)


def test_no_limit_is_longer_than_the_time():
    found = divided([Spent("mm", 1, 1e-6)], [Asked("mm", 100_000)])
    assert (found.arithmetic_s, found.operators[0].limit_s) == (1e-6, 1e-6)


def test_the_work_of_fused_operators_is_held_against_those_without_known_work():
    found = divided([Spent("fused", 1, 5e-6), Spent("copy", 1, 4e-6)], [Asked("mm", 100_000), Asked("copy", 0, ())])
    assert found.arithmetic_s == pytest.approx(2e-6)
    assert [one.limit_s for one in found.operators] == [None, 0.0]


def test_a_dtype_without_a_peak_is_bound_by_its_bytes():
    assert divided(
        [Spent("mm", 1, 5e-6)], [Asked("mm", 10**9, ((10_000, MEMORY),), "int64")]
    ).memory_s == pytest.approx(1e-6)


def test_without_a_bandwidth_there_are_no_shares():
    assert shares([Spent("mm", 1, 1.0)], 0.0, [Asked("mm", 1, ((8, 8),))], {"matmul": {"float32": 50.0}}, 0.0) is None

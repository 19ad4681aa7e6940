import time

import pytest
import torch

from arbench.meters.clock import Clock
from arbench.meters.environment import caches
from arbench.meters.limits import limits


@pytest.fixture(scope="module")
def measured():
    return limits("cpu", threads=1, budget_s=0.5)


def test_every_point_is_there(measured):
    assert set(measured) == {"copy", "read", "matmul", "timer_s"}
    assert set(measured["matmul"]) == {"float32", "float64"}
    for kind in ("copy", "read"):
        sizes = [point["bytes"] for point in measured[kind]]
        assert sizes == sorted(sizes)
        assert sizes[0] == 32 << 10
        assert sizes[-1] >= 2 * max(caches().values(), default=0)
        assert all(0.1 < point["gb_per_s"] < 1e5 for point in measured[kind])
    assert 0 < measured["timer_s"] < 1e-4


def test_caches_are_faster_than_memory(measured):
    for kind in ("copy", "read"):
        rates = [point["gb_per_s"] for point in measured[kind]]
        assert max(rates[:3]) > rates[-1]


def test_nothing_exceeds_the_limits_by_much(measured):
    """A product and a copy timed from outside stay under what was measured, but not far under."""
    clock = Clock("cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a, b = torch.rand(512, 512), torch.empty(512, 512)
        product = min(clock.time(lambda: torch.mm(a, a, out=b)) for _ in range(30))
        source, target = torch.rand(1 << 20), torch.empty(1 << 20)
        copy = min(clock.time(lambda: target.copy_(source)) for _ in range(30))
    finally:
        torch.set_num_threads(before)
    assert 0.1 < 2 * 512**3 / product * 1e-9 / measured["matmul"]["float32"] < 3
    limit = next(p["gb_per_s"] for p in measured["copy"] if p["bytes"] >= 8 << 20)
    assert 0.1 < 8 * (1 << 20) / copy * 1e-9 / limit < 4


def test_single_precision_outruns_double(measured):
    assert measured["matmul"]["float32"] > measured["matmul"]["float64"]


def test_threads_are_put_back_and_the_budget_holds():
    before, start = torch.get_num_threads(), time.perf_counter()
    limits("cpu", threads=2, budget_s=0.1)
    assert time.perf_counter() - start < 5
    assert torch.get_num_threads() == before


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least one thread"):
        limits("cpu", threads=0)
    with pytest.raises(ValueError, match="is not there"):
        limits("cuda:99")

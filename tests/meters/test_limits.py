"""The limits of the machine: measured once, and computed from the times of a fake clock."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from arbench.meters.clock import Clock
from arbench.meters.environment import caches
from arbench.meters.limits import limits

module = importlib.import_module("arbench.meters.limits")  # the package has a function of this name


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
        assert all(point["gb_per_s"] > 0 for point in measured[kind])
    assert all(rate > 0 for rate in measured["matmul"].values())
    assert measured["timer_s"] >= 0


class FakeClock(Clock):
    """Fake clock: the calls take ``seconds`` one after the other, and then the last of them each."""

    seconds: tuple[float, ...] = (1e-3,)
    adds = 0.0
    made: list[FakeClock] = []

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.timed = 0
        self.threads: set[int] = set()
        self.made.append(self)

    def time(self, call: Callable[[], Any]) -> float:
        call()
        self.threads.add(torch.get_num_threads())
        self.timed += 1
        return self.seconds[min(self.timed, len(self.seconds)) - 1]

    def overhead_s(self) -> float:
        return self.adds


@pytest.fixture
def fake(monkeypatch):
    """Replace the clock by one with given durations, on a small machine whose own counter stands still."""
    monkeypatch.setattr(module, "caches", lambda: {"L1d": 32 << 10, "L2": 256 << 10})
    monkeypatch.setattr(module, "_MATMUL", {"cpu": (4, 16, 8)})

    def put(*seconds: float, adds: float = 0.0) -> type[FakeClock]:
        kind = type("Fake", (FakeClock,), {"seconds": seconds or (1e-3,), "adds": adds, "made": []})
        monkeypatch.setattr(module, "Clock", kind)
        monkeypatch.setattr(module, "perf_counter", lambda: 0.0)
        return kind

    return put


def test_rates_are_the_bytes_and_flops_over_the_time(fake):
    fake()
    found = limits("cpu", budget_s=0.0)
    assert found["matmul"] == dict.fromkeys(["float32", "float64"], pytest.approx(2 * 16**3 / 1e-3 * 1e-9))
    for kind in ("copy", "read"):
        for point in found[kind]:
            size = point["bytes"]
            passes = max(1, min(64, (4 << 20) // (size // 2 if kind == "copy" else size)))
            overlap = 64 * (passes - 1)  # each row of a small working set begins a cache line after the last
            once = size - 2 * overlap if kind == "copy" else size - overlap
            assert point["gb_per_s"] == pytest.approx(passes * once / 1e-3 * 1e-9)


def test_the_fastest_call_counts_without_the_overhead_of_the_clock(fake):
    fake(5e-3, 1e-3, 9e-3, adds=2e-4)
    found = limits("cpu", budget_s=0.0)
    assert found["timer_s"] == 2e-4
    assert found["copy"][0]["gb_per_s"] == pytest.approx(_copied(found["copy"][0]["bytes"]) / 8e-4 * 1e-9)
    fake(1e-4, adds=1.0)  # at most half of a reading is overhead
    found = limits("cpu", budget_s=0.0)
    assert found["copy"][0]["gb_per_s"] == pytest.approx(_copied(found["copy"][0]["bytes"]) / 5e-5 * 1e-9)


def _copied(size: int) -> int:
    """Return the bytes that one call on the smallest working set reads and writes."""
    return 64 * (size - 2 * 64 * 63)


def test_each_point_is_timed_three_times_without_a_budget_and_until_it_is_spent_with_one(fake, monkeypatch):
    kind = fake()
    found = limits("cpu", budget_s=0.0)
    (clock,) = kind.made
    points = len(found["copy"]) + len(found["read"]) + 3 * len(found["matmul"])
    assert clock.timed == 3 * points

    readings = iter(range(10**6))
    monkeypatch.setattr(module, "perf_counter", lambda: float(next(readings)))  # a second a reading
    limits("cpu", budget_s=2.0 * 10 * 2 * len(found["copy"]))  # ten seconds per copy and per read
    assert kind.made[1].timed >= 12 * 2 * len(found["copy"])


def test_the_requested_threads_are_used_and_restored(fake):
    kind, before = fake(), torch.get_num_threads()
    limits("cpu", threads=2, budget_s=0.0)
    assert kind.made[0].threads == {2}
    assert torch.get_num_threads() == before


def test_a_wrong_result_is_an_error(fake, monkeypatch):
    fake()
    monkeypatch.setattr(torch, "mm", lambda a, b, out: out.fill_(1))
    with pytest.raises(
        RuntimeError, match=r"cannot measure the limits of this machine: a product of ones in torch\.float32"
    ):
        limits("cpu", budget_s=0.0)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        limits("cpu", threads=0)
    with pytest.raises(ValueError, match="does not exist"):
        limits("cuda:99")

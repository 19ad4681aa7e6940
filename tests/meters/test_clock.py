"""The stopwatch on a fake counter and a fake GPU: its readings, their order, and its overhead."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch

from arbench.meters import clock as module
from arbench.meters.clock import Clock

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class FakeCounter:
    """Fake of ``perf_counter_ns``: time passes only in ``wait``, and by ``reading_ns`` at each reading."""

    def __init__(self, reading_ns: int = 0) -> None:
        self.now = 0
        self.reading_ns = reading_ns
        self.readings = 0

    def __call__(self) -> int:
        self.readings += 1
        self.now += self.reading_ns
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1e9)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> FakeCounter:
    fake = FakeCounter()
    monkeypatch.setattr(module, "perf_counter_ns", fake)
    return fake


def test_a_call_takes_as_long_as_it_takes(counter):
    clock = Clock("cpu")
    counter.wait(5.0)
    calls = []
    assert clock.time(lambda: (calls.append(1), counter.wait(0.002))) == pytest.approx(0.002)
    assert clock.time(lambda: counter.wait(3e-9)) == pytest.approx(3e-9)
    assert len(calls) == 1


def test_the_overhead_is_that_of_a_call_that_does_nothing(counter):
    clock = Clock("cpu")
    counter.reading_ns = 70
    assert clock.overhead_s() == pytest.approx(70e-9)
    measured = counter.readings
    assert clock.overhead_s() == pytest.approx(70e-9)
    assert counter.readings == measured


def test_the_overhead_is_a_median(counter, monkeypatch):
    clock = Clock("cpu")
    durations = [1.0, *[2e-7] * (module._NO_OPS - 1)]
    monkeypatch.setattr(module, "_nothing", lambda: counter.wait(durations.pop()))
    assert clock.overhead_s() == pytest.approx(2e-7)
    assert durations == []


def test_the_shortest_duration_follows_from_the_overhead(counter):
    counter.reading_ns = 50
    clock = Clock("cpu")
    assert clock.shortest_s() == pytest.approx(50e-9 / 0.01)
    assert clock.shortest_s(0.1) == pytest.approx(50e-9 / 0.1)
    for share in (0, 1, -1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            clock.shortest_s(share)


def test_the_counter_of_this_machine_never_goes_back():
    clock = Clock("cpu")
    assert clock.time(lambda: None) >= 0
    assert clock.overhead_s() >= 0


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_collection_is_off_while_timing_and_as_before_afterwards(collects):
    before, seen = gc.isenabled(), []
    try:
        (gc.enable if collects else gc.disable)()
        Clock("cpu").time(lambda: seen.append(gc.isenabled()))
        with pytest.raises(ZeroDivisionError):
            Clock("cpu").time(lambda: 1 // 0)
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]


def test_devices_that_have_no_clock_are_refused():
    with pytest.raises(ValueError, match="'cpu' or 'cuda'"):
        Clock("meta")
    with pytest.raises(ValueError, match="does not exist"):
        Clock("cuda:99")


class FakeGpu:
    """Fake of ``torch.cuda`` that notes the order of calls."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def note(self, step: str) -> Callable[..., None]:
        """Return a function that notes ``step``."""
        return lambda *_: self.steps.append(step)

    def event(self, enable_timing: bool) -> FakeEvent:
        """Replace ``torch.cuda.Event``."""
        assert enable_timing
        return FakeEvent(self)


class FakeEvent:
    """Fake of an event in a stream."""

    def __init__(self, gpu: FakeGpu) -> None:
        self.record = gpu.note("record")
        self.synchronize = gpu.note("wait for the event")

    def elapsed_time(self, end: FakeEvent) -> float:
        assert end is not self
        return 3.5


class FakeDevice:
    """Fake of the context that makes a GPU current."""

    def __init__(self, device: torch.device) -> None:
        assert device == torch.device("cuda:1")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_a_gpu_is_idle_before_the_call_and_waited_for_after_it(monkeypatch):
    gpu = FakeGpu()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", FakeDevice)
    monkeypatch.setattr(torch.cuda, "Event", gpu.event)
    monkeypatch.setattr(torch.cuda, "synchronize", gpu.note("wait until idle"))
    clock = Clock("cuda:1")
    assert clock.time(gpu.note("call")) == pytest.approx(3.5e-3), "milliseconds of the device's own clock"
    assert gpu.steps == ["wait until idle", "record", "call", "record", "wait for the event"]


@cuda
def test_a_gpu_has_finished_once_its_time_is_known():
    clock = Clock("cuda")
    a = torch.randn(4096, 4096, device="cuda")
    assert clock.time(lambda: [a @ a for _ in range(20)]) > 0
    assert torch.cuda.current_stream().query()

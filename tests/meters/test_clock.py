import gc
import time

import pytest
import torch

from arbench.meters.clock import Clock

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_call_takes_as_long_as_it_takes():
    clock = Clock("cpu")
    fastest = min(clock.time(lambda: spin(0.002)) for _ in range(20))
    assert 0.002 <= fastest < 0.0025
    assert clock.wall_s >= 0.002


def test_the_overhead_is_that_of_a_call_that_does_nothing():
    clock = Clock("cpu")
    overhead = clock.overhead_s()
    assert 0 < overhead < 1e-5
    assert clock.overhead_s() == overhead
    assert min(clock.time(lambda: None) for _ in range(1000)) <= overhead


def test_the_shortest_duration_follows_from_the_overhead():
    clock = Clock("cpu")
    assert clock.shortest_s() == pytest.approx(100 * clock.overhead_s())
    assert clock.shortest_s(0.1) == pytest.approx(10 * clock.overhead_s())
    for share in (0, 1, -1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            clock.shortest_s(share)


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
    with pytest.raises(ValueError, match="is not there"):
        Clock("cuda:99")


@cuda
def test_a_gpu_is_waited_for():
    clock = Clock("cuda")
    a = torch.randn(4096, 4096, device="cuda")
    for n in (1, 4):
        clock.time(lambda n=n: [a @ a for _ in range(n)])
    one, four = (min(clock.time(lambda n=n: [a @ a for _ in range(n)]) for _ in range(10)) for n in (1, 4))
    assert 3 < four / one < 5
    assert clock.wall_s >= four
    assert clock.overhead_s() < one

"""Facts about this machine that native samplers depend on."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from arbench.bench.native import WARM, exchange_s, native_facts, uncached
from arbench.kernels.samplers import exchange

TWO = len(os.sched_getaffinity(0)) > 1


@pytest.mark.skipif(not TWO, reason="needs two processors")
def test_the_seconds_are_those_of_one_exchange_without_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    inner, one, clock, kept = exchange.exchanges, 2.0**-20, threading.local(), []

    def timed(counters, boxes, thread, number, part, count):
        clock.now = getattr(clock, "now", 0.0) + count * one
        kept.append(counters)
        return inner(counters, boxes, thread, number, part, count)

    monkeypatch.setattr(exchange, "exchanges", timed)
    monkeypatch.setattr("arbench.bench.native.perf_counter", lambda: clock.now)
    assert exchange_s(count=100, trials=3) == [one] * 3
    made = 3 * (WARM + 100)
    assert kept[0][[0, exchange.COUNTER]].tolist() == [made, made], "both threads made all of them"


def test_facts_of_two_processors_and_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arbench.bench.native.exchange_s", lambda: [3e-7, 1e-7, 2e-7])
    monkeypatch.setattr("arbench.kernels.samplers.vectors.registers", lambda: ("AVX2", 32))
    known = {"vectors": "AVX2", "vector_bytes": 32}
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert native_facts() == {**known, "exchange_s": 2e-7, "exchange_best_s": 1e-7}
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert native_facts() == {**known, "exchange_s": None, "exchange_best_s": None}


@pytest.mark.skipif(not TWO, reason="needs two processors")
def test_a_thread_that_fails_does_not_leave_the_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = exchange.exchanges

    def failing(counters, boxes, thread, *rest):
        if thread == 1:
            raise RuntimeError("no")
        return inner(counters, boxes, thread, *rest)

    monkeypatch.setattr(exchange, "exchanges", failing)
    with pytest.raises(RuntimeError, match=r"^no$"):
        exchange_s(count=10, trials=1)


def test_code_that_was_not_kept_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arbench.kernels.core.numba_rows.uncached", lambda: None)
    assert uncached() is None
    monkeypatch.setattr("arbench.kernels.core.numba_rows.uncached", lambda: "no place for code")
    assert uncached() == "no place for code; set NUMBA_CACHE_DIR to a folder that can be written"
    monkeypatch.delitem(sys.modules, "arbench.kernels.core.numba_rows")
    assert uncached() is None

"""A worker that has no processor is waited for; one that computes for ever, or sleeps, is not."""

from __future__ import annotations

import os
import sys

import pytest

from arbench.bench.job import Message
from arbench.bench.workers import process
from arbench.bench.workers.process import Worker
from arbench.bench.workers.starved import starved_s, waits

BEGIN = """
import os, subprocess, sys, time
from arbench.bench.job import Message
from arbench.bench.workers.channel import attached
channel = attached()
channel.send(Message(ready=True))
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
subprocess.Popen([sys.executable, "-c", "while True: pass"])
os.nice(10)
until = time.process_time() + {seconds}
while time.process_time() < until:
    {then}
channel.send(Message(done=True))
channel.stay()
"""
"""A worker that shares one processor with a process of its own session that spins, and has a tenth of it."""


@pytest.fixture(autouse=True)
def _known() -> None:
    if not any(waits(os.getpid()).values()):
        pytest.skip("this system does not say how long a thread waited for a processor")


def started(seconds: float, then: str = "pass") -> Worker:
    worker = Worker([sys.executable, "-c", BEGIN.format(seconds=seconds, then=then)])
    assert worker.receive(Message, 60.0).ready
    return worker


def test_a_worker_without_a_processor_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MOST_STARVED", 100.0)  # however many other processes there are
    worker = started(seconds=0.1)
    try:
        assert worker.receive(Message, 0.6).done
    finally:
        worker.kill()


@pytest.mark.parametrize("then", ["time.sleep(1)", "until += 1"])
def test_a_worker_that_hangs_on_a_busy_machine_is_given_up(then: str) -> None:
    worker = started(seconds=0.2, then=then)
    try:
        with pytest.raises(TimeoutError):
            worker.receive(Message, 0.1)
    finally:
        worker.kill()


def test_the_thread_that_waited_the_longest_counts() -> None:
    assert starved_s({"1": 2.0, "2": 5.0}, {"1": 2.5, "2": 5.25, "3": 0.125}) == 0.5
    assert starved_s({}, {}) == 0.0
    assert waits(2**22 + 1) == {}


def test_the_time_that_is_added_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MOST_STARVED", 0.0)
    worker = started(seconds=0.2)
    try:
        with pytest.raises(TimeoutError):
            worker.receive(Message, 0.1)
    finally:
        worker.kill()

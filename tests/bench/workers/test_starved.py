"""A worker that has no processor is waited for; one that computes for ever, or sleeps, is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from arbench.bench.job import Message
from arbench.bench.workers.process import Worker
from arbench.bench.workers.starved import starved_s, waits

BEGIN = """
import os, time
from arbench.bench.job import Message
from arbench.bench.workers.channel import attached
channel = attached()
channel.send(Message(ready=True))
os.sched_setaffinity(0, {{{cpu}}})
os.nice(10)
until = time.process_time() + {seconds}
while time.process_time() < until:
    {then}
channel.send(Message(done=True))
channel.stay()
"""


@pytest.fixture
def cpu() -> Iterator[int]:
    """A processor that another process keeps busy."""
    if not waits(os.getpid()):
        pytest.skip("this system does not say how long a thread waited for a processor")
    number = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, {{{number}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as busy:
        yield number
        busy.kill()


def started(cpu: int, seconds: float, then: str = "pass") -> Worker:
    worker = Worker([sys.executable, "-c", BEGIN.format(cpu=cpu, seconds=seconds, then=then)])
    assert worker.receive(Message, 60.0).ready
    return worker


def test_a_worker_without_a_processor_has_more_time(cpu: int) -> None:
    worker = started(cpu, seconds=0.2)  # of a tenth of the processor
    try:
        assert worker.receive(Message, 0.5).done
    finally:
        worker.kill()


@pytest.mark.parametrize("then", ["time.sleep(1)", "until += 1"])
def test_a_worker_that_hangs_on_a_busy_machine_is_given_up(cpu: int, then: str) -> None:
    worker = started(cpu, seconds=0.2, then=then)
    try:
        with pytest.raises(TimeoutError):
            worker.receive(Message, 0.1)
    finally:
        worker.kill()


def test_the_thread_that_waited_the_longest_counts() -> None:
    assert starved_s({"1": 2.0, "2": 5.0}, {"1": 2.5, "2": 5.25, "3": 0.125}) == 0.5
    assert starved_s({}, {}) == 0.0
    assert waits(2**22 + 1) == {}

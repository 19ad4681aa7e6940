"""Workers of a run inside the test process: the same jobs and messages, without the seconds that a process costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import msgspec
import torch

from arbench.bench.job import Job, Message, out_of_memory
from arbench.bench.workers.pool import WorkerPool
from arbench.bench.workers.worker import work
from arbench.own.raised import one_line

TURN = Lock()
"""Taken by a job for each step: counting and memory meters watch the whole process."""


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run operations with this many threads, as a worker does."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Inside(WorkerPool):
    """Pool without processes: an exception of a job reaches the supervisor as a worker would report it."""

    def prepare(self, count: int) -> None:
        """Start nothing."""

    def settle(self) -> None:
        """Wait for nothing."""

    def converse(self, job: Job, timeout: float) -> Iterator[Any]:
        """Do a job here. Both it and its messages are encoded and decoded on the way."""
        job = msgspec.json.decode(msgspec.json.encode(job), type=Job)
        messages = work(job)
        while True:
            try:
                with TURN, torch.no_grad(), threads(job.threads):
                    message = next(messages, None)
            except Exception as error:  # a model may raise anything
                message = Message(error=one_line(error), oom=out_of_memory(error))
            if message is None:
                return
            yield msgspec.json.decode(msgspec.json.encode(message), type=Message)

"""The worker processes of one run: idle ones that wait for a job, and busy ones.

A fresh process takes a second or two to import torch. While one worker does a job that is not timed, the next one
can therefore start: once it has imported what it needs it waits, which takes no CPU time.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator

import msgspec

from arbench.bench.job import Job, Message
from arbench.bench.workers.process import STARTUP_S, Worker, WorkerFailure, environment_for


class PoolStoppedError(Exception):
    """The pool was stopped while a job was running or before it started."""


class WorkerPool:
    """Workers of a run; several threads may have a job done at the same time.

    As a context manager it kills the idle workers on exit.
    """

    def __init__(self) -> None:
        self._idle: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._environment: dict[str, str] | None = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def idle(self) -> tuple[Worker, ...]:
        """The workers that wait for a job, or still start."""
        return tuple(self._idle)

    def prepare(self, count: int) -> None:
        """Start workers until ``count`` are idle or about to be, for timing what the last job was about."""
        while len(self._idle) < count:
            self._idle.append(Worker(environment=self._environment))

    def settle(self) -> None:
        """Wait until no idle worker is still importing, so that none disturbs what is timed."""
        deadline = time.monotonic() + STARTUP_S
        while not all(worker.ready for worker in self._idle) and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        """Kill the idle workers."""
        while self._idle:
            self._idle.pop().kill()

    def stop(self) -> None:
        """Kill the busy workers and refuse further jobs: ``converse`` raises PoolStoppedError in every thread."""
        with self._lock:
            self._stopped = True
            for worker in self._busy:
                if worker.process.poll() is None:
                    worker.signal_kill()

    def converse(self, job: Job, timeout: float) -> Iterator[Message | WorkerFailure]:
        """Have a fresh worker do a job, and yield its messages; the worker is killed when the iterator closes.

        Args:
            job: the job.
            timeout: seconds between two messages after which the worker counts as hung.

        Yields:
            Messages, and at last a WorkerFailure if the worker died or hung.

        Raises:
            PoolStoppedError: ``stop`` was called.
        """
        worker = self._take(job)
        try:
            worker.send(job)
            patience = max(timeout, STARTUP_S)
            while True:
                try:
                    raw = worker.replies.get(timeout=patience)
                except queue.Empty:
                    self._check_running()
                    yield WorkerFailure("timeout", f"no response for {patience:g} s")
                    return
                self._check_running()
                if raw is None:
                    break
                message = msgspec.json.decode(raw, type=Message)
                if message.ready:
                    continue
                patience = timeout
                if message.done:
                    return
                yield message
            try:
                code = worker.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._check_running()
                yield WorkerFailure("timeout", f"closed its output but did not exit within {timeout:g} s")
                return
            self._check_running()  # ``stop`` killed it: that is no failure of the job
            yield WorkerFailure("error", worker.exit_reason(code))
        finally:
            worker.kill()
            with self._lock:
                self._busy.discard(worker)

    def _take(self, job: Job) -> Worker:
        environment = environment_for(job)
        with self._lock:
            self._check_running()
            self._environment = environment_for(msgspec.structs.replace(job, stage="time"))
            worker = next((one for one in self._idle if one.environment == environment), None)
            if worker is None:
                worker = Worker(environment=environment)
            else:
                self._idle.remove(worker)
            self._busy.add(worker)
            return worker

    def _check_running(self) -> None:
        if self._stopped:
            raise PoolStoppedError

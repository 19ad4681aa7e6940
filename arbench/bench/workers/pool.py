"""The worker processes of one run: idle ones that wait for a job, and busy ones.

A fresh process takes a second or two to import torch. While one worker does a job that is not timed, the next one
can therefore start: once it has imported what it needs it waits, which takes no CPU time.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec

from arbench.bench.job import Job, Message
from arbench.bench.workers.exchange import Exchange
from arbench.bench.workers.failure import BrokenMessageError, StartError, WorkerFailure
from arbench.bench.workers.given import carrying
from arbench.bench.workers.process import STARTUP_S, Worker, environment_for

MOST_LOST = 8
"""Idle workers that may die before no further ones are prepared: each job then starts its own."""


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
        self._lost = 0
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
        """Start workers until ``count`` are idle or about to be, for timing what the last job was about.

        One that died is replaced. If the system starts no process, there is none to prepare.
        """
        self._drop_dead()
        with suppress(StartError):
            while len(self._idle) < count and self._lost < MOST_LOST:
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
                if worker.alive:
                    worker.signal_kill()

    def converse(self, job: Job, timeout: float | Callable[[], float]) -> Iterator[Message | WorkerFailure]:
        """Have a fresh worker do a job, and yield its messages; the worker is killed when the iterator closes.

        Args:
            job: the job.
            timeout: seconds between two messages after which the worker counts as hung, or a function that returns
                them, which is asked after each message.

        Yields:
            Messages that the job asks for. The last one is an error that the worker reports, or a WorkerFailure if it
            died, hung, or sent anything else.

        Raises:
            PoolStoppedError: ``stop`` was called.
        """
        try:
            worker = self._take(job)
        except StartError as error:
            yield WorkerFailure("error", str(error), ready=False)
            return
        try:
            worker.send(carrying(job))
            yield from self._messages(worker, Exchange(job), timeout)
        finally:
            with self._lock:
                self._busy.discard(worker)
            worker.kill()

    def _messages(
        self, worker: Worker, exchange: Exchange, timeout: float | Callable[[], float]
    ) -> Iterator[Message | WorkerFailure]:
        allowed: Callable[[], float] = timeout if callable(timeout) else lambda: timeout
        patience, ready = max(allowed(), STARTUP_S), False
        while True:
            try:
                message = worker.receive(Message, patience)
                self._check_running()
                if message is None:
                    break
                exchange.check(message)
            except TimeoutError:
                self._check_running()
                yield WorkerFailure("timeout", f"no response for {patience:g} s{worker.stuck_at()}", ready=ready)
                return
            except BrokenMessageError as error:
                yield WorkerFailure("error", str(error))
                return
            if message.ready:
                ready = True
                continue
            if message.done:
                return
            yield message
            patience = allowed()
            if message.error is not None:
                return
        try:
            code = worker.process.wait(allowed())
        except subprocess.TimeoutExpired:
            self._check_running()
            yield WorkerFailure("timeout", f"closed its channel but did not exit within {allowed():g} s")
            return
        self._check_running()  # ``stop`` killed it: that is no failure of the job
        yield WorkerFailure("error", worker.exit_reason(code), code, ready)

    def _drop_dead(self) -> None:
        for worker in [one for one in self._idle if not one.alive]:
            self._idle.remove(worker)
            worker.kill()
            self._lost += 1

    def _take(self, job: Job) -> Worker:
        environment = environment_for(job)
        with self._lock:
            self._check_running()
            self._environment = environment_for(msgspec.structs.replace(job, stage="time"))
            self._drop_dead()
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

"""Proves a plan without timing it: every case verified and counted, several models at once.

Counters do not depend on the load, so models need not wait for each other; and nothing is put on disk, so a
killed process leaves nothing behind.
"""

from __future__ import annotations

import os
import threading
import uuid
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from arbench.bench import analyse
from arbench.bench.job import Job
from arbench.bench.plan import Plan
from arbench.bench.process import abandon
from arbench.bench.runner import Fault, Progress, Quiet, Supervisor
from arbench.git import revision
from arbench.meters import environment
from arbench.results import SCHEMA, Line, Results, Run

MOST_AT_ONCE = 4
"""More workers than this share no machine that they would not fill."""


class _StoppedError(Exception):
    """Somebody else failed, or the user interrupts."""


class _Kept:
    """Takes the place of ``runner.Recorder``: keeps lines in memory, whichever thread writes them."""

    def __init__(self, run: Run) -> None:
        self.results: Results | None = Results(run)
        self._lock = threading.Lock()

    def write(self, line: Line) -> None:
        assert self.results is not None
        with self._lock:
            self.results.add(line)  # type: ignore[arg-type]


class _Told:
    """Progress of several threads, told one at a time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def stage(self, text: str, steps: int, seconds: float) -> None:
        with self._lock:
            self._progress.stage(text, steps, seconds)

    def step(self, text: str) -> None:
        with self._lock:
            self._progress.step(text)

    def note(self, text: str) -> None:
        with self._lock:
            self._progress.note(text)


@dataclass
class _Prover(Supervisor):
    """Gives up between two workers where it is told to."""

    stopping: threading.Event = field(default_factory=threading.Event)

    def _attend(self, job: Job) -> Fault | None:
        if self.stopping.is_set():
            raise _StoppedError
        fault = super()._attend(job)
        if self.stopping.is_set():
            raise _StoppedError
        return fault


def prove_plan(plan: Plan, progress: Progress | None = None, at_once: int | None = None) -> Results:
    """Verifies and counts every case of a plan in fresh isolated workers; no time is taken.

    Args:
        plan: of models; what it says of budget, workers and rounds does not matter.
        progress: told what happens.
        at_once: models that are proved at the same time; by default as many as there are cores to use, at
            most 4, and one on a GPU, whose memory they would share.

    Returns:
        The results in memory: counts, verifications, and a row for each case; ``run.limits`` is empty.

    Raises:
        KeyboardInterrupt: passed on, once no worker is left.
    """
    options, told = plan.options, _Told(progress or Quiet())
    asked = {"options": options.as_plan(), "cases": msgspec.to_builtins(plan.cases)}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    here = environment(options.device)
    kept = _Kept(Run(SCHEMA, uuid.uuid4().hex, now, [], options.seed, revision(), asked, here, {}))
    stopping, settings = threading.Event(), plan.settings()
    told.stage("verifying and counting", len(plan.cases), 0)
    provers = [
        _Prover(plan, [c for c in plan.cases if c.setting == one], kept, told, 0, True, stopping=stopping)  # type: ignore[arg-type]
        for one in settings
    ]
    with ThreadPoolExecutor(max(at_once or _at_once(options.device), 1)) as pool:
        running = [pool.submit(prover.prove) for prover in provers]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            stopping.set()
            try:
                _end(running)
            except KeyboardInterrupt:  # the impatient interrupt twice
                _end(running)
                raise
    failed = [e for one in running if not one.cancelled() and (e := one.exception()) is not None]
    for error in sorted(failed, key=lambda error: isinstance(error, _StoppedError)):
        raise error  # what stopped the others goes before them
    assert kept.results is not None
    for row in analyse.derive(kept.results):
        kept.write(row)
    return kept.results


def _end(running: list[Future[None]]) -> None:
    """Cancels what did not begin, and ends workers until nobody listens to one any more."""
    for future in running:
        future.cancel()
    while not all(future.done() for future in running):
        abandon()
        wait(running, timeout=0.05)


def _at_once(device: str) -> int:
    if device != "cpu":
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_AT_ONCE)

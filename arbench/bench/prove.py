"""Proof of a plan without timing: every case verified and counted, several models at once.

Counters do not depend on the load, so models need not wait for each other. Nothing is written to disk, so a killed
process leaves nothing behind.
"""

from __future__ import annotations

import os
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

from arbench.bench import analyse
from arbench.bench.plan import Plan
from arbench.bench.progress import LockedProgress, Progress, Quiet
from arbench.bench.recorder import Recorder, new_run
from arbench.bench.workers.pool import PoolStoppedError, WorkerPool
from arbench.bench.workers.supervisor import Supervisor
from arbench.meters import environment
from arbench.results import Results

MOST_AT_ONCE = 4
"""Models proved at the same time, at most."""


def prove_plan(plan: Plan, progress: Progress | None = None, at_once: int | None = None) -> Results:
    """Verify and count every case of a plan in fresh isolated workers, without timing.

    Args:
        plan: of models; its budget, workers and rounds have no effect.
        progress: receives reports.
        at_once: models to prove at the same time; by default one for each usable core, at most 4, and one on a GPU,
            whose memory they would share.

    Returns:
        The results in memory: counts, verifications, and a row for each case; ``run.limits`` is empty.

    Raises:
        NoWorkerError: no worker process starts.
        KeyboardInterrupt: passed on, once no worker is left.
    """
    options, reports = plan.options, LockedProgress(progress or Quiet())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    recorder = Recorder(Results(new_run(plan, environment(options.device), now, [], {})))
    reports.stage("verifying and counting", len(plan.cases), 0)
    pool = WorkerPool()
    supervisors = [Supervisor(plan, cases, recorder, reports, pool, direct=True) for cases in plan.by_worker()]
    with pool, ThreadPoolExecutor(max(at_once or _at_once(options.device), 1)) as threads:
        running = [threads.submit(supervisor.prove) for supervisor in supervisors]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            try:
                _stop(pool, running)
            except KeyboardInterrupt:  # a second interrupt must not leave a worker behind
                _stop(pool, running)
                raise
    failed = [e for one in running if not one.cancelled() and (e := one.exception()) is not None]
    for error in sorted(failed, key=lambda error: isinstance(error, PoolStoppedError)):
        raise error  # the failure itself, not that the others were stopped because of it
    for row in analyse.derive(recorder.results):
        recorder.write(row)
    return recorder.results


def _stop(pool: WorkerPool, running: list[Future[None]]) -> None:
    """Cancel what has not started, kill the workers of the rest, and wait for their threads."""
    for future in running:
        future.cancel()
    pool.stop()
    wait(running)


def _at_once(device: str) -> int:
    if device != "cpu":
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_AT_ONCE)

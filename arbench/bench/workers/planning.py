"""Planning in a worker: models and methods may hang, exit or take all memory while they are imported and planned."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from arbench.bench.job import Job, Message, Planned, Step
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import Plan, checked, planning
from arbench.bench.progress import Progress, Quiet
from arbench.bench.workers.failure import WorkerFailure
from arbench.bench.workers.pool import WorkerPool
from arbench.bench.workers.unplanned import PlanningError as PlanningError
from arbench.bench.workers.unplanned import failed, reported
from arbench.methods import is_plain, place_of

SILENT_S = 1.5
"""Seconds of importing and building after which planning shows what it does."""


def planned(options: Options, gone: list[str] | None = None, progress: Progress | None = None) -> Plan:
    """Make a plan as ``make_plan`` does, in a process of its own and with a time limit.

    Args:
        options: the options; a step of planning one model takes at most ``options.timeout`` seconds.
        gone: as for ``make_plan``.
        progress: receives a stage if planning takes longer than a moment.

    Raises:
        PlanError: an option is wrong, or a model or method hung, exited or was killed; nothing was measured or written.
        NoWorkerError: the process does not start.
        PlanningError: planning failed by a fault of arbench.
    """
    (plan,) = planned_all([options], gone, progress)
    return plan


def planned_all(
    several: Sequence[Options], gone: list[str] | None = None, progress: Progress | None = None
) -> list[Plan]:
    """Make several plans in one process; the arguments and errors are those of ``planned``."""
    settled: list[Options] = []
    models: list[str] = []
    methods: dict[str, None] = {}
    for one in several:
        options, entries = checked(one)
        settled.append(options)
        models += [entry.model for entry in entries]
        placed = [name for entry in entries for name in entry.methods if not is_plain(name)]
        methods |= {name: None for name in placed if place_of(name) is not None}
        methods |= dict.fromkeys(options.peers)
    if not settled:
        return []
    job = Job(
        "plan",
        [],
        settled[0].seed,
        settled[0].threads,
        options=settled,
        models=models,
        methods=list(methods),
        leave_out=gone is not None,
    )
    with closing(_Shown(progress or Quiet(), len(models) + len(methods), len(methods))) as shown:
        found = _found(job, shown)
    plans = []
    for options, reply in zip(settled, found, strict=False):
        if reply.refusal is not None:
            raise PlanError(reply.refusal, reply.absent)
        if gone is not None:
            gone += reply.gone
        plans.append(Plan(options, reply.cases, reply.models, reply.needed, reply.lacking))
    return plans


def _found(job: Job, shown: _Shown) -> list[Planned]:
    """Have a worker plan, and another one if something outside may have killed it; return the replies."""
    timeout = max(options.timeout for options in job.options)
    found, step, failure = _conversation(job, timeout, shown)
    if failure is not None and (failure.by_signal or not failure.ready):
        found, step, failure = _conversation(job, timeout, shown)
    if failure is not None:
        raise failed(step, failure, timeout)
    return found


def _conversation(job: Job, timeout: float, shown: _Shown) -> tuple[list[Planned], Step | None, WorkerFailure | None]:
    """Have a fresh worker plan.

    Returns:
        its replies, of which a refusal is the last; the step that it began last; and its failure.
    """
    step: Step | None = None
    found: list[Planned] = []
    with WorkerPool() as pool, closing(pool.converse(job, timeout)) as messages:  # type: ignore[type-var]
        for message in messages:
            if isinstance(message, WorkerFailure):
                return found, step, message
            if message.begin is not None:
                step = Step(message.begin, str(message.step), message.what)
                shown.begin(step.spec)
            if message.error is not None:
                raise reported(step, message)
            if message.planned is not None:
                found.append(message.planned)
    return found, step, None


@dataclass
class _Shown:
    """Stage of planning that is shown only if it takes longer than a moment.

    Args:
        progress: receiver of the stage.
        total: number of models, and of methods that are imported.
        methods: number of these methods.
    """

    progress: Progress
    total: int
    methods: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begun: list[str] = field(default_factory=list)
    _visible: bool = False

    def __post_init__(self) -> None:
        self._timer = threading.Timer(SILENT_S, self._show)
        self._timer.daemon = True

    def begin(self, spec: str) -> None:
        """Note that a step of a model begins."""
        with self._lock:
            if self._begun[-1:] == [spec]:
                return
            if not self._begun:
                self._timer.start()
            elif self._visible:
                self.progress.step(spec)
            self._begun.append(spec)

    def close(self) -> None:
        """Show nothing any more."""
        self._timer.cancel()
        with self._lock:
            self._visible = True

    def _show(self) -> None:
        with self._lock:
            if not self._visible:
                self._visible = True
                several = f"{self.total} models{' and methods' if self.methods else ''}"
                what = self._begun[-1] if self.total == 1 else several
                self.progress.stage(f"importing and building {what}", self.total, 0)


def plan(job: Job) -> Iterator[Message]:
    """Make the plans of a job in a worker; yield each step before it begins, and each finished plan or refusal."""
    for options in job.options:
        gone: list[str] | None = [] if job.leave_out else None
        steps = planning(options, gone)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                made: Plan = end.value
                yield Message(planned=Planned(made.cases, made.models, made.needed, gone or [], made.lacking))
                break
            except PlanError as error:
                yield Message(planned=Planned(refusal=str(error), absent=error.absent))
                return
            yield Message(begin=step.spec, step=step.did, what=step.what)

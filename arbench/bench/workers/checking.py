"""Checks of few cases by a worker of their own: a model may hang, crash or take all memory, and is charged with it.

One worker plans and verifies everything, and this process imports none of the libraries that do: that takes as long as
to check a small model.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Planned, Step
from arbench.bench.options import Options, PlanError, check_numbers, check_texts
from arbench.bench.progress import Progress, Quiet
from arbench.bench.workers.failure import NoWorkerError, WorkerFailure
from arbench.bench.workers.pool import WorkerPool
from arbench.bench.workers.unplanned import failed, reported
from arbench.results import Case, Model, Status, Verification

PLANNING_S = 11.0
"""Seconds that a step of planning may take: importing a model of the user's, and building it."""
INSTALLED_S = 60.0
"""The same for models that have a name, and for packages: what is installed is large, and known not to hang."""
STEP_S = 8.0
"""Seconds that a step of a check may take, for a small model."""
WEIGHTS_PER_S = 2_000_000
"""Weights of a model for which a step may take one second more."""
MOST_HUNG = 2
"""Steps of methods that may hang before the others are left out."""
TRIES = 2
"""Workers to start for a step before a death by a signal from outside is charged to it."""


@dataclass
class Checks:
    """The cases of a check, and what is known of each.

    Attributes:
        cases: all cases, in the order of the plan.
        models: facts about the models.
        lacking: what keeps methods that were asked for from running a model, by their names.
        native: methods in native code that were left out.
        lines: verifications by case.
        seconds: duration.
    """

    cases: list[CaseKey] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    native: list[str] = field(default_factory=list)
    lines: dict[str, Verification] = field(default_factory=dict)
    seconds: float = 0.0

    def take(self, planned: Planned) -> None:
        """Take a plan."""
        self.cases, self.models = planned.cases, planned.models
        self.lacking, self.native = planned.lacking, list(dict.fromkeys(planned.native))

    def rows(self) -> list[Case]:
        """Return a row for each case."""
        found = []
        for case in self.cases:
            known = {name: getattr(case, name) for name in CaseKey.__struct_fields__ if name in Case.__struct_fields__}
            line = self.lines[case.id]
            found.append(Case(id=case.id, status=line.status, error=line.error, verified=line.verified, **known))
        return found

    @property
    def open(self) -> list[CaseKey]:
        """The cases of which nothing is known yet."""
        return [case for case in self.cases if case.id not in self.lines]


def patience_s(timeout: float | None, cases: Sequence[CaseKey], spec: str = "") -> float:
    """Return how many seconds a step may take.

    Args:
        timeout: what the user says; None for nothing.
        cases: the cases; empty while they are planned.
        spec: the model, method or peer that the step is about, while they are planned.
    """
    if timeout is not None:
        return timeout
    if cases:
        return round(STEP_S + max(case.weights for case in cases) / WEIGHTS_PER_S, 1)
    place = spec.partition(":")[0]
    return PLANNING_S if place.endswith(".py") or "." in place or not place else INSTALLED_S


def check(
    options: Options, dtypes: Sequence[str], timeout: float | None = None, progress: Progress | None = None
) -> Checks:
    """Verify few cases of models in a worker, without counting or timing anything.

    Args:
        options: models, methods, sizes and inputs; where there are no sizes, few are chosen that show most.
        dtypes: data types; those after the first where there is time.
        timeout: seconds without a message after which a step counts as hung; by default about 10, and more for large
            models.
        progress: receives reports.

    Raises:
        PlanError: an option is wrong, or a model or method hung, exited or was killed while it was imported or built.
        NoWorkerError: no worker process starts.
        PlanningError: planning failed by a fault of arbench.
    """
    check_texts(options)
    check_numbers(options)
    began = time.monotonic()
    found = _Check(options, list(dtypes), timeout, progress or Quiet()).run()
    found.seconds = time.monotonic() - began
    return found


class _Check:
    """One check, with as many workers as it takes."""

    def __init__(self, options: Options, dtypes: list[str], timeout: float | None, progress: Progress) -> None:
        self._options, self._dtypes, self._timeout, self._progress = options, dtypes, timeout, progress
        self._found = Checks()
        self._planned = False
        self._step: Step | None = None
        self._deaths: Counter[str | None] = Counter()
        self._hung = 0

    def run(self) -> Checks:
        """Have workers check until something is known of every case."""
        with WorkerPool() as pool:
            while not self._planned or self._found.open:
                failure = self._conversation(pool)
                if failure is None:
                    break
                if not self._again(failure):
                    if not self._planned:
                        raise failed(self._step, failure, self._patience())
                    self._charge(failure)
        return self._found

    def _patience(self) -> float:
        return patience_s(self._timeout, self._found.cases, self._step.spec if self._step else "")

    def _job(self) -> Job:
        options, given = self._options, self._options.worker_facts()
        if self._planned:
            return Job("check", self._found.open, options.seed, options.threads, watch_s=self._timeout, **given)
        return Job(
            "check",
            [],
            options.seed,
            options.threads,
            options=[options],
            dtypes=self._dtypes,
            watch_s=self._timeout,
            **given,
        )

    def _conversation(self, pool: WorkerPool) -> WorkerFailure | None:
        """Have a fresh worker do what is left; return why it stopped before it was done."""
        self._step = None
        with closing(pool.converse(self._job(), self._patience)) as messages:  # type: ignore[type-var]
            for message in messages:
                if isinstance(message, WorkerFailure):
                    return message
                if message.begin is not None:
                    self._step = Step(message.begin, str(message.step), message.what)
                if message.planned is not None:
                    if message.planned.refusal is not None:
                        raise PlanError(message.planned.refusal, message.planned.absent)
                    self._found.take(message.planned)
                    self._planned = True
                    title = ", ".join(dict.fromkeys(case.title for case in self._found.cases))
                    self._progress.stage(f"verifying {title}", len(self._found.cases), 0)
                if isinstance(message.line, Verification):
                    self._found.lines[message.line.case] = message.line
                    self._progress.step(message.line.case)
                if message.warning is not None:
                    self._progress.note(f"warning: {message.warning}")
                if message.error is not None:
                    if not self._planned:
                        raise reported(self._step, message)
                    return WorkerFailure("oom" if message.oom else "error", message.error)
        return None

    def _again(self, failure: WorkerFailure) -> bool:
        """Return whether a fresh worker shall try again: something outside may have ended this one.

        Raises:
            NoWorkerError: no worker starts.
        """
        if not failure.outside and failure.ready:
            return False
        name = self._step.spec if self._step else None
        self._deaths[name] += 1
        if self._deaths[name] < TRIES:
            return True
        if not failure.ready:
            raise NoWorkerError(failure.error)
        return False

    def _charge(self, failure: WorkerFailure) -> None:
        """Charge a failure to the case that was running; one of the model itself to all of its cases."""
        known = {case.id: case for case in self._found.cases}
        case = known.get(self._step.spec) if self._step else None
        left = self._found.open
        if case is None:
            charged = left
        elif self._step is not None and self._step.did == "probe":
            charged = [one for one in left if one.spec == case.spec]
        else:
            charged = [one for one in left if (one.spec, one.op, one.method) == (case.spec, case.op, case.method)]
        check = "model" if case is None or len(charged) == len(left) else "method"
        for one in charged:
            self._write(one, failure.status, {"check": check}, failure.error)
        self._hung += failure.status == "timeout"
        if self._hung >= MOST_HUNG:
            for one in self._found.open:
                self._write(one, "over_budget", None, f"left out, since {self._hung} other cases hung")

    def _write(self, case: CaseKey, status: Status, facts: dict[str, str] | None, why: str) -> None:
        self._found.lines[case.id] = Verification(case.id, status, case.exactness, facts, why)

"""Checks of few cases, one after the other, in a worker or in the process of a user's own tests."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec

from arbench.bench.call import keep_float32_exact
from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Message, Planned, out_of_memory
from arbench.bench.models.few import Few
from arbench.bench.models.subject import ModelSubject, of_its_steps, of_the_model
from arbench.bench.options import PlanError
from arbench.bench.plan import Plan, planning
from arbench.bench.workers.checking import patience_s
from arbench.own.packages import import_ahead, installed_imports
from arbench.own.raised import one_line
from arbench.results import Status, Verification

SPARE_S = 3.0
"""Seconds after which cases that can be spared are left out."""
ANY_S = 1e9
"""Seconds that a call may take: the longest is not predicted, since there are few cases."""


def work(job: Job) -> Iterator[Message]:
    """Do a check in a worker: plan it unless it has cases, then verify them; yield each message.

    Where a step takes about as long as the parent waits, or crashes, this process prints where it is.
    """
    cases: list[CaseKey] = job.cases
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)
    try:
        for message in _planned_and_checked(job):
            if message.planned is not None:
                cases = message.planned.cases
            if message.begin is not None:
                _watch(patience_s(job.watch_s, cases, message.begin))
            yield message
    finally:
        faulthandler.cancel_dump_traceback_later()


def _watch(patience: float) -> None:
    """Print the stack of this process shortly before its parent runs out of patience."""
    file = sys.__stderr__
    if file is not None:
        faulthandler.dump_traceback_later(max(patience - 1, patience / 2), file=file)


def _planned_and_checked(job: Job) -> Iterator[Message]:
    if not job.options:
        yield from checks(job, job.cases)
        return
    for model in job.options[0].models or ():
        place = Path(model.partition(":")[0])
        for package, statements in installed_imports(place).items() if place.suffix == ".py" else ():
            yield Message(begin=package, step="imported", what="package")
            import_ahead(statements)
    few = Few(job.dtypes)
    steps = planning(job.options[0], None, few)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            plan: Plan = end.value
            break
        except PlanError as error:
            yield Message(planned=Planned(refusal=str(error), absent=error.absent))
            return
        yield Message(begin=step.spec, step=step.did, what=step.what)
    yield Message(planned=Planned(plan.cases, plan.models, lacking=plan.lacking, native=few.native))
    yield from checks(job, plan.cases, few.spare, chosen=not job.options[0].n)


def checks(job: Job, cases: Sequence[CaseKey], spare: Collection[str] = (), chosen: bool = False) -> Iterator[Message]:
    """Verify cases, the models one after the other, and of each those that can be spared last.

    Args:
        job: the seed, weights and data of the models.
        cases: the cases.
        spare: ids of those that are left out where the others took long; they get a line that says so.
        chosen: whether the sizes are of our choice: then larger ones wait until a step that is wrong is mended.

    Yields:
        That a case begins, and its verification. An exception of a model is charged to its case, except on a GPU, which
        it may leave unusable.
    """
    keep_float32_exact()
    began, subjects = time.monotonic(), _Subjects(job)
    models = list(dict.fromkeys(case.spec for case in cases))

    def rank(case: CaseKey) -> tuple[int, bool, int, int, str]:
        return models.index(case.spec), case.id in spare, case.n, case.batch, case.dtype

    wrong: dict[str, Verification] = {}
    steps: dict[str, int] = {}
    """The first size at which steps of a model are wrong."""
    for (_, can_wait, *_), found in groupby(sorted(cases, key=rank), rank):
        group, spent = list(found), time.monotonic() - began
        fault = wrong.get(group[0].spec)
        if fault is not None:  # whatever its size, no method of this model can be right
            for case in group:
                yield Message(line=Verification(case.id, fault.status, case.exactness, fault.verified, fault.error))
            continue
        if can_wait and spent > SPARE_S:
            for case in group:
                why = f"left out, since the other cases took {spent:.0f} s"
                yield Message(line=Verification(case.id, "over_budget", case.exactness, None, why))
            continue
        if chosen and group[0].n > steps.get(group[0].spec, group[0].n):
            for case in group:
                why = f"left out until what is wrong at N = {steps[case.spec]} is mended"
                yield Message(line=Verification(case.id, "over_budget", case.exactness, None, why))
            continue
        for message in _verified(subjects.of(group[0]), msgspec.structs.replace(job, cases=group, share_s=ANY_S)):
            if isinstance(message.line, Verification) and of_the_model(message.line):
                wrong[group[0].spec] = message.line
            elif isinstance(message.line, Verification) and of_its_steps(message.line):
                steps.setdefault(group[0].spec, group[0].n)
            yield message


@dataclass
class _Subjects:
    """The models in their data types; those of one model are kept until the next."""

    job: Job

    def __post_init__(self) -> None:
        self._known: dict[tuple[str, str, str], ModelSubject] = {}

    def of(self, case: CaseKey) -> ModelSubject:
        """Return the subject of a case."""
        if case.worker_key not in self._known:
            self._known = {key: one for key, one in self._known.items() if key[0] == case.spec}
            self._known[case.worker_key] = ModelSubject(msgspec.structs.replace(self.job, cases=[case]))
        return self._known[case.worker_key]


def _verified(subject: ModelSubject, job: Job) -> Iterator[Message]:
    """Verify the cases of a job; after an exception of the model go on with those that are left."""
    answered = set(job.verified)
    exactness = {case.id: case.exactness for case in job.cases}
    while True:
        begun: str | None = None
        try:
            for message in subject.verify(msgspec.structs.replace(job, verified=sorted(answered))):
                begun = message.begin or begun
                if isinstance(message.line, Verification):
                    answered.add(message.line.case)
                yield message
            return
        except Exception as error:  # a model may raise anything
            if begun is None or begun in answered or subject.setup.device != "cpu":
                raise
            status: Status = "oom" if out_of_memory(error) else "error"
            answered.add(begun)
            yield Message(line=Verification(begun, status, exactness[begun], {"check": "method"}, one_line(error)))

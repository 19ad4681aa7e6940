"""Check of what a worker sends: every message must be one that its job asks for."""

from __future__ import annotations

from arbench.bench.job import Job, Message
from arbench.bench.workers.failure import BrokenMessageError
from arbench.results import Count, Samples, Verification
from arbench.results.checks import check


class Exchange:
    """The messages of one worker about one job.

    Args:
        job: what the worker was asked to do.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._asked = {case.id for case in job.cases}
        self._planned, self._plans = {*job.models, *job.methods}, len(job.options)
        self._rounds = set(job.done)
        self._answered = {case for case, _ in job.done} if job.stage == "time" else set(job.verified)

    def check(self, message: Message) -> None:
        """Take the next message. Raises BrokenMessageError for one that was not asked for."""
        planning = self._job.stage == "check" and self._plans > 0  # what it plans is known to the worker alone
        if message.begin is not None and not planning and message.begin not in self._asked | self._planned:
            raise _unasked(f"begins {message.begin}")
        if message.line is not None:
            try:
                check(message.line)
            except ValueError as error:
                raise BrokenMessageError(f"the worker sent a message that is not valid: {error}") from None
        match message.line:
            case Samples():
                self._check_samples(message.line)
            case Verification(case=case, status=status):
                if case not in self._asked or (self._job.stage == "time" and status != "inexact"):
                    raise _unasked(f"verifies {case}")
                self._answered.add(case)
            case Count(case=case, ladder_of=ladder_of):
                if self._job.stage != "prove" or not {case, ladder_of} & self._asked:
                    raise _unasked(f"counts {case}")
        if message.planned is not None:
            if self._plans == 0:
                raise _unasked("plans a run")
            self._plans = 0 if message.planned.refusal is not None else self._plans - 1
            if self._job.stage == "check":
                self._asked |= {case.id for case in message.planned.cases}
        if message.done and self._plans:
            raise BrokenMessageError("the worker said that it is done, without a plan")
        if message.done and (missing := sorted(self._asked - self._answered)):
            raise BrokenMessageError(f"the worker said that it is done, without a result of {missing[0]}")

    def _check_samples(self, line: Samples) -> None:
        place = (line.case, line.round)
        mine = line.case in self._asked and line.worker == self._job.worker
        if self._job.stage != "time" or not mine or place in self._rounds:
            raise _unasked(f"times {line.case} in round {line.round}")
        self._rounds.add(place)
        self._answered.add(line.case)


def _unasked(what: str) -> BrokenMessageError:
    return BrokenMessageError(f"the worker sent a message that was not asked for: it {what}")

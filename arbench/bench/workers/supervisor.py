"""The supervisor of one worker's cases: verifies and counts them, times them, and isolates failures."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from arbench.bench.case import CaseKey
from arbench.bench.job import Job
from arbench.bench.plan import Plan
from arbench.bench.progress import Progress
from arbench.bench.recorder import Recorder
from arbench.bench.samples import by_case, compiles, compiling, seconds_by_worker
from arbench.bench.workers.failure import NoWorkerError, WorkerFailure
from arbench.bench.workers.pool import WorkerPool
from arbench.results import CRASHED, Count, Profile, Results, Samples, StoppedBy, Verification
from arbench.stats import reason_to_stop, summarise

MOST_WORKERS = 64
"""More fresh processes than this do not narrow an interval enough to be worth the wait."""


TRIES = 3
"""Workers to start before a death that names no case is charged to all cases of the job."""
TRIES_OF_A_CASE = 2
"""The same for a death by a signal in a step of one case: the first may come from outside."""


@dataclass(frozen=True)
class Fault:
    """A failure of a worker, with the case and step that were running."""

    case: str | None
    step: str | None
    failure: WorkerFailure


@dataclass
class Supervisor:
    """Runs the cases of one worker: proves them in one process, then times them in several fresh ones.

    Args:
        plan: the whole plan.
        cases: the cases that one worker loads together.
        recorder: receives every line at once; its earlier lines are not measured again.
        progress: receives reports.
        pool: provides the processes.
        spares: workers to start while proving: the first that times, and the one that proves the next model.
        direct: count every size itself where that is quick; see ``Job``.
    """

    plan: Plan
    cases: list[CaseKey]
    recorder: Recorder
    progress: Progress
    pool: WorkerPool
    spares: int = 0
    direct: bool = False
    _widths: dict[str, list[float | None]] = field(default_factory=dict)
    _deaths: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    _crashes: dict[str, str] = field(default_factory=dict)
    _steps: set[tuple[Any, ...]] = field(default_factory=set)

    def run(self) -> dict[str, StoppedBy]:
        """Prove and time the cases; return why the timing of each stopped. Raises NoWorkerError."""
        options = self.plan.options
        name = self.cases[0].title
        unproved = [c for c in [*self.cases, *self._needed] if c.id not in self._results.verifications]
        compile_first = "compiling, " if any(case.compiled for case in self.cases) else ""
        self.progress.stage(f"{name}: {compile_first}verifying and counting", max(len(unproved), 1), 0)
        self.prove()
        self._drop_over_budget()
        kept = self._timeable()
        if not kept:
            return {}
        self.pool.settle()
        if (stopped := self._stopped_before(kept)) is not None:
            return stopped
        calls = sum(self._call_s(case) for case in kept)
        mine = {case.id for case in kept}
        done = {self._step_of(line) for line in self._results.samples if line.case in mine}
        self._steps |= done
        self.progress.stage(
            f"{name}: {compile_first}timing",
            max(options.workers * len(kept) * (options.rounds or 1) - len(done), 1),
            options.workers * max(self._share_s, calls) if options.rounds is None else 0,
        )
        return self._time()

    def _step_of(self, line: Samples) -> tuple[str, int, int]:
        """Return the step of progress that samples belong to: a round, or without a number of rounds a process."""
        return line.case, line.worker, line.round if self.plan.options.rounds is not None else 0

    def _progressed(self, job: Job, line: Verification | Count | Samples | Profile) -> None:
        """Report the step that a line finishes, each step once."""
        step: tuple[Any, ...] | None = None
        if isinstance(line, Samples):
            step = self._step_of(line)
        elif isinstance(line, Verification) and job.stage == "prove":
            step = (line.case,)  # of a needed case too: it is announced with the others
        if step is not None and step not in self._steps:
            self._steps.add(step)
            self.progress.step(line.case)

    def prove(self) -> None:
        """Verify every case, and count every verified one, except those that a failure is charged to.

        Raises:
            NoWorkerError: no worker starts.
        """
        charged: set[str] = set()
        everything = [*self.cases, *self._needed]
        while True:
            proofs, counts = self._results.verifications, self._results.counts
            counted = ("ok", "over_budget")
            failed = {c.id for c in everything if c.id in proofs and proofs[c.id].status not in counted}
            todo = [c for c in everything if c.id not in failed | charged]
            if all(c.id in proofs and c.id in counts for c in todo):
                return
            verified = [c.id for c in everything if c.id in proofs]
            job = self._job(
                "prove",
                todo,
                share_s=self._longest_s / 3,
                verified=verified,
                counted=list(counts),
                direct=self.direct,
            )
            fault = self._attend(job)
            if fault is None:
                return
            if not self._try_again(fault):
                charged |= self._charge(fault, todo)

    def time_again(self, worker: int) -> None:
        """Time all cases in one more process, whatever was decided about them before.

        Args:
            worker: number of the process, not used by an earlier one.
        """
        self._time_in(worker, self.cases)

    @property
    def _results(self) -> Results:
        return self.recorder.results

    @property
    def _needed(self) -> list[CaseKey]:
        """The cases to count for the sake of verdicts; a gate has no verdicts."""
        mine = self.cases[0].worker_key
        return [] if self.direct else [case for case in self.plan.needed if case.worker_key == mine]

    @property
    def _share_s(self) -> float:
        """Seconds of timing for each worker."""
        return self.plan.options.budget / self.plan.options.workers

    @property
    def _longest_s(self) -> float:
        """Seconds that three calls of a case may take."""
        options = self.plan.options
        return self._share_s if options.rounds is None and not self.direct else options.timeout

    def _timeable(self) -> list[CaseKey]:
        proofs = self._results.verifications
        return [case for case in self.cases if case.id in proofs and proofs[case.id].status == "ok"]

    def _stopped_before(self, cases: list[CaseKey]) -> dict[str, StoppedBy] | None:
        """Return why timing stopped if an earlier process of this run finished it, else None."""
        rows = self._results.cases
        reasons = {c.id: rows[c.id].stopped_by for c in cases if c.id in rows}
        known = {case: reason for case, reason in reasons.items() if reason not in (None, "interrupted")}
        return known if len(known) == len(cases) else None

    def _spent_s(self) -> float:
        """Return the seconds that earlier processes of this run spent on timing these cases."""
        mine = {case.id for case in self.cases}
        spans: dict[int, tuple[float, float]] = {}
        for line in self._results.samples:
            if line.case in mine:
                first, last = spans.get(line.worker, (line.started_at, 0.0))
                end = line.started_at + sum(line.seconds)
                spans[line.worker] = min(first, line.started_at), max(last, end)
        return sum(last - first for first, last in spans.values())

    def _compiled_s(self) -> float:
        """Return the seconds that first calls took longer than later ones because they compiled."""
        mine, found = {case.id for case in self.cases}, [s for s in self._results.samples if s.cold_s is not None]
        lasted = [(s.cold_s or 0.0, min(s.seconds)) for s in found if s.case in mine]
        return sum(first - later for first, later in lasted if compiles(first, later))

    def _call_s(self, case: CaseKey) -> float:
        verified = self._results.verifications[case.id].verified or {}
        return float(verified.get("call_s", 0.0))

    def _job(self, stage: str, cases: list[CaseKey], **more: Any) -> Job:
        options = self.plan.options
        proofs = self._results.verifications
        facts = {c.id: proofs[c.id].verified or {} for c in cases if c.id in proofs}
        calls = {case: float(known["call_s"]) for case, known in facts.items() if "call_s" in known}
        outcomes = {case: known["outcome"] for case, known in facts.items() if "outcome" in known}
        slow = {case for case, known in facts.items() if "first_call_s" in known} | compiling(self._results.samples)
        return Job(
            stage,
            cases,
            options.seed,
            options.threads,
            call_s=calls,
            compiling=sorted(slow & facts.keys()),
            outcomes=outcomes,
            **options.worker_facts(),
            **more,
        )

    def _drop_over_budget(self) -> None:
        """Mark the longest cases over budget until one round of the rest fits a worker's share.

        Those at a model's smallest N are the last to go: all its methods are compared there.
        """
        if self.plan.options.rounds is not None:
            return
        left = self._share_s
        smallest: dict[Any, int] = {}
        for case in self.cases:
            place = (case.model, case.preset, case.batch)
            smallest[place] = min(case.n, smallest.get(place, case.n))

        def rank(case: CaseKey) -> tuple[bool, float]:
            return case.n > smallest[case.model, case.preset, case.batch], self._call_s(case)

        for case in sorted(self._timeable(), key=rank):
            if self._call_s(case) <= left:
                left -= self._call_s(case)
            else:
                proof = self._results.verifications[case.id]
                why = f"a call takes {self._call_s(case):.3g} s; a round with it exceeds the budget"
                self.recorder.write(Verification(case.id, "over_budget", proof.exactness, proof.verified, why))

    def _time(self) -> dict[str, StoppedBy]:
        options = self.plan.options
        began, worker = time.monotonic() - self._spent_s(), 0
        while True:
            kept = self._timeable()
            if worker >= options.workers and kept:
                text = f"{kept[0].title}: timing, process {worker + 1}: intervals still narrow"
                self.progress.stage(text, len(kept), self._share_s)
            if kept:
                self._time_in(worker)
            worker += 1
            if worker < options.workers:
                continue
            if options.rounds is not None:
                return {case.id: "rounds" for case in self._timeable()}
            elapsed = time.monotonic() - began - self._compiled_s()
            if worker >= MOST_WORKERS:
                elapsed = max(elapsed, options.budget)
            reasons = {case.id: self._decide(case, elapsed) for case in self._timeable()}
            if all(reasons.values()) or any(reason == "budget" for reason in reasons.values()):
                return {case: reason or "budget" for case, reason in reasons.items()}

    def _decide(self, case: CaseKey, elapsed: float) -> StoppedBy | None:
        found = by_case(self._results.samples)[case.id]
        widths = self._widths.setdefault(case.id, [])
        if seconds := seconds_by_worker(found):
            summary = summarise(seconds)
            low, high = summary.ci95_s or (0.0, float("inf"))
            widths.append((high - low) / summary.median_s if summary.ci95_s else None)
        reserve = self._share_s if elapsed + self._share_s > self.plan.options.budget else 0.0
        return reason_to_stop(widths, self.plan.options.target_ci, elapsed + reserve, self.plan.options.budget)

    def _time_in(self, worker: int, cases: list[CaseKey] | None = None) -> None:
        """Time cases in one fresh process, and what is left in another one if it dies.

        Args:
            worker: number of the process.
            cases: by default all that can be timed, minus those that a failure is charged to.
        """
        options = self.plan.options
        while True:
            kept = cases or self._timeable()
            known = {case.id for case in kept}
            mine = [s for s in self._results.samples if s.worker == worker and s.case in known]
            done = [(s.case, s.round) for s in mine]
            if kept and options.rounds is None and {case for case, _ in done} >= {c.id for c in kept}:
                return
            if not kept or (options.rounds and len(done) >= len(kept) * options.rounds):
                return
            job = self._job("time", kept, worker=worker, rounds=options.rounds, share_s=self._share_s, done=done)
            fault = self._attend(job)
            if fault is None:
                return
            if self._try_again(fault):
                continue
            self._charge(fault, kept)
            if cases:
                return

    def _try_again(self, fault: Fault) -> bool:
        """Return whether a fresh worker shall do the rest of the job, before anything is charged.

        What a worker did itself would happen again: an exception, an exit, a hang. A signal may come from outside, and
        a worker that died before it named a case may have been killed while it was idle.

        Raises:
            NoWorkerError: no worker starts.
        """
        failure = fault.failure
        if fault.case is None:
            again, tries = failure.died, TRIES
        else:
            again, tries = failure.by_signal, TRIES_OF_A_CASE
        if not again:
            return False
        self._deaths[fault.case, fault.step] += 1
        if self._deaths[fault.case, fault.step] >= tries:
            if fault.case is None and not failure.ready:
                raise NoWorkerError(failure.error)
            return False
        self.progress.note(f"trying again in a fresh worker: {fault.case or self.cases[0].title}: {failure.error}")
        if fault.case is not None and not failure.outside:
            self._crashes[fault.case] = failure.error
            if (proof := self._results.verifications.get(fault.case)) is not None:
                self._record(proof)
        return True

    def _charge(self, fault: Fault, cases: list[CaseKey]) -> set[str]:
        """Record a failure for the case that was running, and return the ids of the cases to leave out."""
        known = {case.id: case for case in [*self.cases, *self._needed]}
        charged = {fault.case} if fault.case in known else {case.id for case in cases}
        status, outside = fault.failure.status, fault.failure.outside
        deaths = self._deaths[fault.case, fault.step]
        why = fault.failure.error + (f", {deaths} times" if deaths > 1 else "")
        if fault.step == "count":
            key = known.get(fault.case or "", cases[0]).key
            lost = {c.id for c in cases if c.key == key}
            for case in sorted(lost - self._results.counts.keys()):
                self._tell("not counted", case, why)
                nothing = Count(case, None, None, None, None, None, None, "none", why_unknown=why, outside=outside)
                self.recorder.write(nothing)
            return lost
        for case in charged:
            self._tell(status, case, why)
            proof = self._results.verifications.get(case)
            facts = proof.verified if proof else None
            self.recorder.write(Verification(case, status, known[case].exactness, facts, why, outside))
        return charged

    def _tell(self, what: str, case: str, why: str) -> None:
        """Print what a failure costs: a row, or for a case that is only counted for a verdict, that verdict."""
        lost = "a verdict may be undecided: not counted" if any(case == one.id for one in self._needed) else what
        self.progress.note(f"{lost}: {case}: {why}")

    def _record(self, line: Verification | Count | Samples | Profile) -> None:
        """Record a line; a verification also says that an earlier worker crashed in its case."""
        if isinstance(line, Verification) and (why := self._crashes.get(line.case)) is not None:
            line = msgspec.structs.replace(line, verified={**(line.verified or {}), CRASHED: why})
        self.recorder.write(line)

    def _attend(self, job: Job) -> Fault | None:
        """Have one worker do a job and record its lines, sealed; return the fault that stopped it, if any."""
        try:
            return self._recorded(job)
        finally:
            self.recorder.seal()

    def _recorded(self, job: Job) -> Fault | None:
        """Record the lines of a job, with a seal after each round of timing."""
        case: str | None = None
        timed: int | None = None
        step: str | None = None
        for message in self.pool.converse(job, self.plan.options.timeout):
            if job.stage == "prove":
                self.pool.prepare(self.spares)
            if isinstance(message, WorkerFailure):
                return Fault(case, step, message)
            if message.begin is not None:
                case, step = message.begin, message.step
                del self._deaths[None, None]
            if message.line is not None:
                if isinstance(message.line, Samples):
                    if timed is not None and message.line.round != timed:
                        self.recorder.seal()
                    timed = message.line.round
                self._record(message.line)
                if not isinstance(message.line, Count):  # a family of sizes is counted under the name of its first
                    del self._deaths[message.line.case, step]
                self._progressed(job, message.line)
            if message.warning is not None and self.recorder.first(message.warning):
                self.progress.note(f"warning: {message.warning}")
            if message.error is not None:
                return Fault(case, step, WorkerFailure("oom" if message.oom else "error", message.error))
        return None

"""The supervisor: starts workers, puts on disk at once what they find, and isolates failures."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from arbench.bench import analyse
from arbench.bench.case import CaseKey
from arbench.bench.job import Job
from arbench.bench.plan import Plan
from arbench.bench.process import Ended, converse, dismiss, prepare, settle
from arbench.git import revision
from arbench.meters import differences, environment, limits
from arbench.results import (
    FILE_NAME,
    SCHEMA,
    Count,
    Limits,
    Line,
    Results,
    ResultsError,
    Resume,
    Run,
    Status,
    StoppedBy,
    Verification,
    Writer,
    read,
)
from arbench.stats import decide, summarise

MOST_WORKERS = 64
"""More fresh processes than this shrink no interval that is worth the wait."""


class Progress(Protocol):
    """What is told of a run while it goes on."""

    def stage(self, text: str, steps: int, seconds: float) -> None:
        """A stage of about so many steps, and at most about so long, begins."""

    def step(self, text: str) -> None:
        """A step of the stage ended."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class Quiet:
    """Tells nothing."""

    def stage(self, text: str, steps: int, seconds: float) -> None: ...

    def step(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass
class Recorder:
    """A results file being written, and the same in memory."""

    writer: Writer
    results: Results | None = None

    def write(self, line: Line) -> None:
        """Puts one line on disk, then takes it into account."""
        self.writer.write(line)
        if isinstance(line, Run):
            self.results = Results(line)
        else:
            assert self.results is not None
            self.results.add(line)  # type: ignore[arg-type]


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    resume: bool = False,
    argv: list[str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measures a plan into ``folder/results.jsonl``; on an interrupt, rows of what is there are written too.

    Args:
        plan: what to measure.
        folder: made if missing.
        resume: go on where a killed run of the same plan stopped; a finished one is left as it is.
        argv: command line, for the record.
        progress: told what happens.

    Raises:
        ResultsError: the folder holds another run, is in use, or cannot be written.
        WriteError: the disk is full; what was measured before is intact.
        KeyboardInterrupt: passed on, once the rows are written.
    """
    with Writer(folder / FILE_NAME) as writer:
        recorder = Recorder(writer)
        _open(plan, recorder, resume, argv or [], progress or Quiet())
        assert recorder.results is not None
        for model in plan.models:
            if (model.model, model.preset) not in recorder.results.models:
                recorder.write(model)
        stopped: dict[str, StoppedBy] = {}
        try:
            settings = plan.settings()
            for left, setting in zip(reversed(range(len(settings))), settings, strict=True):
                cases = [case for case in plan.cases if case.setting == setting]
                supervisor = Supervisor(plan, cases, recorder, progress or Quiet(), spares=1 + (left > 0))
                stopped |= supervisor.run()
            _check_roof(plan, recorder, progress or Quiet(), stopped)
        except KeyboardInterrupt:
            _write_rows(recorder, stopped)
            raise
        finally:
            dismiss()
        _write_rows(recorder, stopped)
        return recorder.results


def _write_rows(recorder: Recorder, stopped: dict[str, StoppedBy]) -> None:
    assert recorder.results is not None
    for row in analyse.derive(recorder.results, stopped):
        recorder.write(row)


def _open(plan: Plan, recorder: Recorder, resume: bool, argv: list[str], progress: Progress) -> None:
    import torch

    options = plan.options
    torch.set_num_threads(options.threads)
    asked = {"options": options.as_plan(), "cases": msgspec.to_builtins(plan.cases)}
    here, now = environment(options.device), datetime.now(UTC).isoformat(timespec="seconds")
    path = recorder.writer.path
    if recorder.writer.empty:
        progress.note("measuring the machine's own limits")
        measured = limits(options.device, options.threads)
        recorder.write(Run(SCHEMA, uuid.uuid4().hex, now, argv, options.seed, revision(), asked, here, measured))
        return
    if not resume:
        raise ResultsError(f"{path} holds a run already; --resume goes on with it, or choose another --out")
    recorder.results = read(path)
    before = recorder.results.run
    recorded = type(options)().as_plan() | before.plan.get("options", {})  # an older file has fewer
    if recorded != asked["options"]:
        raise ResultsError(f"{path} holds a run that was asked something else; resume it with its own options")
    if before.plan.get("cases") != asked["cases"]:
        raise ResultsError(
            f"{path} holds a run of other cases: {recorded.get('suite') or 'its model'} has changed since; "
            "put it back as it was, or choose another --out"
        )
    changed = differences(before.environment, here)
    for name in changed:
        progress.note(f"the environment changed since the run began: {name}")
    recorder.write(Resume(before.run_id, now, argv, here, before.limits, changed))


@dataclass
class Supervisor:
    """Runs the cases of one setting: proves them in one worker, then times them in several fresh ones."""

    plan: Plan
    cases: list[CaseKey]
    recorder: Recorder
    progress: Progress
    spares: int = 0
    """Workers to make ready while proving: the first that times, and the next model's that proves."""
    direct: bool = False
    """Whether every size is counted itself where that is quick; see ``Job``."""
    widths: dict[str, list[float | None]] = field(default_factory=dict)

    @property
    def results(self) -> Results:
        assert self.recorder.results is not None
        return self.recorder.results

    @property
    def share_s(self) -> float:
        """Seconds of timing for each worker."""
        return self.plan.options.budget / self.plan.options.workers

    @property
    def longest_s(self) -> float:
        """Seconds that three calls of a case may take."""
        options = self.plan.options
        return self.share_s if options.rounds is None and not self.direct else options.timeout

    def run(self) -> dict[str, StoppedBy]:
        """Proves and times; returns why each case's timing ended."""
        options = self.plan.options
        name = self.cases[0].title
        self.progress.stage(f"{name}: verifying and counting", len(self.cases), 0)
        self.prove()
        self._spare_budget()
        kept = self._timeable()
        if not kept:
            return {}
        settle()
        if (stopped := self._ended(kept)) is not None:
            return stopped
        calls = sum(self._call_s(case) for case in kept)
        self.progress.stage(
            f"{name}: timing",
            options.workers * len(kept) * (options.rounds or 1),
            options.workers * max(self.share_s, calls) if options.rounds is None else 0,
        )
        return self._time()

    def _timeable(self) -> list[CaseKey]:
        proofs = self.results.verifications
        return [case for case in self.cases if case.id in proofs and proofs[case.id].status == "ok"]

    def _ended(self, cases: list[CaseKey]) -> dict[str, StoppedBy] | None:
        """Why timing ended, if an earlier process of this run came to its end; None if it has to go on."""
        rows = self.results.cases
        reasons = {c.id: rows[c.id].stopped_by for c in cases if c.id in rows}
        known = {case: reason for case, reason in reasons.items() if reason not in (None, "interrupted")}
        return known if len(known) == len(cases) else None

    def _spent_s(self) -> float:
        """Seconds that earlier processes of this run spent on timing these cases."""
        mine = {case.id for case in self.cases}
        spans: dict[int, tuple[float, float]] = {}
        for line in self.results.samples:
            if line.case in mine:
                first, last = spans.get(line.worker, (line.started_at, 0.0))
                end = line.started_at + sum(line.seconds)
                spans[line.worker] = min(first, line.started_at), max(last, end)
        return sum(last - first for first, last in spans.values())

    def _call_s(self, case: CaseKey) -> float:
        verified = self.results.verifications[case.id].verified or {}
        return float(verified.get("call_s", 0.0))

    def _job(self, stage: str, cases: list[CaseKey], **more: Any) -> Job:
        options = self.plan.options
        proofs = self.results.verifications
        calls = {c.id: self._call_s(c) for c in cases if c.id in proofs and proofs[c.id].verified}
        return Job(stage, cases, options.seed, options.threads, call_s=calls, **options.worker_facts(), **more)

    def prove(self) -> None:
        """Until every case has a verification, and every verified one was counted or charged."""
        charged: set[str] = set()
        while True:
            proofs, counts = self.results.verifications, self.results.counts
            counted = ("ok", "over_budget")
            ended = {c.id for c in self.cases if c.id in proofs and proofs[c.id].status not in counted}
            todo = [c for c in self.cases if c.id not in ended | charged]
            if all(c.id in proofs and c.id in counts for c in todo):
                return
            verified = [c.id for c in self.cases if c.id in proofs]
            job = self._job(
                "prove",
                todo,
                share_s=self.longest_s / 3,
                verified=verified,
                counted=list(counts),
                direct=self.direct,
            )
            fault = self._attend(job)
            if fault is None:
                return
            charged |= self._charge(fault, todo)

    def _spare_budget(self) -> None:
        """Sets aside the longest cases until one round of the rest fits a worker's share."""
        if self.plan.options.rounds is not None:
            return
        left = self.share_s
        for case in sorted(self._timeable(), key=self._call_s):
            left -= self._call_s(case)
            if left < 0:
                proof = self.results.verifications[case.id]
                why = f"a call takes {self._call_s(case):.3g} s; a round with it exceeds the budget"
                self.recorder.write(Verification(case.id, "over_budget", proof.exactness, proof.verified, why))

    def _time(self) -> dict[str, StoppedBy]:
        options = self.plan.options
        began, worker = time.monotonic() - self._spent_s(), 0
        while True:
            if self._timeable():
                self._worker(worker)
            worker += 1
            if worker < options.workers:
                continue
            if options.rounds is not None:
                return {case.id: "rounds" for case in self._timeable()}
            elapsed = time.monotonic() - began
            if worker >= MOST_WORKERS:
                elapsed = max(elapsed, options.budget)
            reasons = {case.id: self._decide(case, elapsed) for case in self._timeable()}
            if all(reasons.values()) or any(reason == "budget" for reason in reasons.values()):
                return {case: reason or "budget" for case, reason in reasons.items()}

    def _decide(self, case: CaseKey, elapsed: float) -> StoppedBy | None:
        found = analyse.by_case(self.results.samples)[case.id]
        widths = self.widths.setdefault(case.id, [])
        if seconds := analyse.seconds_by_worker(found):
            summary = summarise(seconds)
            low, high = summary.ci95_s or (0.0, float("inf"))
            widths.append((high - low) / summary.median_s if summary.ci95_s else None)
        reserve = self.share_s if elapsed + self.share_s > self.plan.options.budget else 0.0
        return decide(widths, self.plan.options.target_ci, elapsed + reserve, self.plan.options.budget)

    def _worker(self, worker: int, cases: list[CaseKey] | None = None) -> None:
        """One fresh process, and another for what is left if it dies."""
        options = self.plan.options
        while True:
            kept = cases or self._timeable()
            known = {case.id for case in kept}
            mine = [s for s in self.results.samples if s.worker == worker and s.case in known]
            done = [(s.case, s.round) for s in mine]
            if kept and options.rounds is None and {case for case, _ in done} >= {c.id for c in kept}:
                return
            if not kept or (options.rounds and len(done) >= len(kept) * options.rounds):
                return
            job = self._job("time", kept, worker=worker, rounds=options.rounds, share_s=self.share_s, done=done)
            fault = self._attend(job)
            if fault is None:
                return
            self._charge(fault, kept)
            if cases:
                return

    def _charge(self, fault: Fault, cases: list[CaseKey]) -> set[str]:
        """Gives the case that was running its own status, and sets it aside."""
        known = {case.id: case for case in self.cases}
        charged = {fault.case} if fault.case in known else {case.id for case in cases}
        if fault.step == "count":
            self.progress.note(f"not counted: {fault.case}: {fault.error}")
            family = analyse.family_of(fault.case or cases[0].id)[0]
            lost = {c.id for c in cases if analyse.family_of(c.id)[0] == family}
            for case in sorted(lost - self.results.counts.keys()):
                self.recorder.write(Count(case, None, None, None, None, None, None, "none"))
            return lost
        for case in charged:
            self.progress.note(f"{fault.status}: {case}: {fault.error}")
            proof = self.results.verifications.get(case)
            self.recorder.write(
                Verification(case, fault.status, known[case].exactness, proof.verified if proof else None, fault.error)
            )
        return charged

    def _attend(self, job: Job) -> Fault | None:
        """Runs one worker to its end; returns what went wrong, if anything did."""
        case: str | None = None
        step: str | None = None
        for message in converse(job, self.plan.options.timeout):
            if job.stage == "prove":
                prepare(self.spares)
            if isinstance(message, Ended):
                return Fault(case, step, message.status, message.error)
            if message.begin is not None:
                case, step = message.begin, message.step
            if message.line is not None:
                self.recorder.write(message.line)
                if not isinstance(message.line, Count):
                    self.progress.step(message.line.case)
            if message.error is not None:
                return Fault(case, step, "oom" if message.oom else "error", message.error)
        return None


@dataclass(frozen=True)
class Fault:
    """What ended a worker, and the case and step it happened in."""

    case: str | None
    step: str | None
    status: Status
    error: str


def _check_roof(plan: Plan, recorder: Recorder, progress: Progress, stopped: dict[str, StoppedBy]) -> None:
    """Measures rows above the machine's limits again, limit and row, before they are called wrong."""
    results = recorder.results
    assert results is not None
    samples = analyse.by_case(results.samples)
    last = max((datetime.fromisoformat(line.measured_at) for line in results.limits), default=None)

    def suspect(case: CaseKey) -> bool:
        return analyse.above_roof(case, results, samples.get(case.id, [])) is not None

    def measured_again(case: CaseKey) -> bool:
        return last is not None and any(s.started_at > last.timestamp() for s in samples[case.id])

    suspects = [case for case in plan.cases if suspect(case) and not measured_again(case)]
    if not suspects:
        return
    progress.note("a row is above the machine's limit: measuring both again")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    recorder.write(Limits(now, limits(plan.options.device, plan.options.threads)))
    for case in filter(suspect, suspects):
        supervisor = Supervisor(plan, [case], recorder, progress)
        supervisor._worker(1 + max(s.worker for s in samples[case.id]), [case])

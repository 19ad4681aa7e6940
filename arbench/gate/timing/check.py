"""Time check: compares the times of two versions, case by case."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import msgspec

from arbench.bench.progress import Progress, Quiet
from arbench.findings import Finding
from arbench.gate.timing.alone import Alone, takes
from arbench.gate.timing.effort import APART, TOGETHER, Effort
from arbench.gate.timing.hosts import Cases, HostError
from arbench.gate.timing.instances import Timer
from arbench.gate.timing.matching import Matching, in_words, model_of, named
from arbench.gate.timing.pool import HostPool
from arbench.gate.timing.trees import Tree
from arbench.stats.change import Decision, Observations, fewest, judge_change

CLOCK_DROP = 0.95
"""A GPU clock below this part of its highest value in the same case is reported."""


class GateError(Exception):
    """Failure of a whole check; the message is one line for the user."""


@dataclass
class Gate:
    """One time check.

    Args:
        before: the old version.
        after: the new version.
        requests: fields of ``Options`` (or ``KernelOptions``), one mapping for each model or kernel.
        chosen: fields of ``Effort`` that replace the defaults.
        kernels: whether the requests are for kernels.
        apart: whether to give each version a process of its own from the start.
        alone: whether to try each version in a process of its own after that, as in ``arbench.gate.timing.alone``.
        grow: whether that trial times a large size, too.
        seed: seed of every random order.
        threads: threads within an operation.
        timeout: seconds a process may take to reply.
        facts: fields of ``arbench.bench.job.Job`` beside the cases.

    Attributes:
        findings: the results: the time of each case, and what each version does alone.
        notes: remarks for the reader, one line each.
        instances: facts of every instance, as plain data.
        environment: facts about the machine; empty until both versions are loaded.
        keep: called with all seconds of an instance, as in ``Timer``.
    """

    before: Tree
    after: Tree
    requests: Sequence[Mapping[str, Any]]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    kernels: bool = False
    apart: bool = False
    alone: bool = True
    grow: bool = True
    seed: int = 0
    threads: int = 1
    timeout: float = 120.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = HostPool(self.before, self.after, self.seed, self.threads, self.facts, self.timeout)
        self.pool.apart |= self.apart
        self.random = random.Random(self.seed)
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.instances: list[dict[str, Any]] = []
        self.environment: dict[str, Any] = {}
        self.keep: Callable[[str, list[list[float]]], None] = lambda *_: None

    def run(self, progress: Progress | None = None) -> None:
        """Run the check; fill ``findings``, ``notes``, ``instances`` and ``environment``.

        An error that ends a check later is a finding, beside what was found before.

        Raises:
            MissingError: neither version has a model or kernel.
            GateError: a version cannot be loaded, or nothing was found before an error.
        """
        try:
            self._run(progress or Quiet())
        except HostError as error:
            loaded = bool(self.environment)
            if self.pool.apart or (loaded and not error.apart):
                self._ended(error)
            else:
                self._run_apart(error, progress or Quiet())
        finally:
            self.pool.drop_ahead()

    def _run_apart(self, error: HostError, progress: Progress) -> None:
        """Run the check again with a process for each version, because they cannot share one."""
        self.pool.drop_ahead()
        self.pool.apart = True
        threshold = self.effort(1).threshold
        why = f"the versions cannot share a process: {error}"
        self.notes = [f"{why}; each ran in its own, with a threshold of {100 * threshold:g}%"]
        self.findings, self.instances, self.environment = [], [], {}
        try:
            self._run(progress)
        except HostError as again:
            self._ended(again)

    def _ended(self, error: HostError) -> None:
        """Add an error that ended the check to what was found before. Raises GateError if nothing was."""
        if not self.findings:
            raise GateError(self._whose(error)) from None
        text = f"the check ended early: {self._whose(error)}"
        self.findings.append(Finding("time", "", "case", "unmeasured", text))

    def _run(self, progress: Progress) -> None:
        progress.stage("loading both versions", 1, 0)
        matching = Matching(self.pool, progress, self.alone and self.grow)
        self.findings = matching.findings
        with self.pool.opened(1) as hosts:
            self.environment = hosts[0].environment
            if not self.pool.apart:  # pairs of processes of their own are timed one after the other
                self.pool.start_ahead(self.effort(1).processes)
            cases = matching.cases(hosts, self.requests, self.kernels)
        if not cases and not self.findings:
            what = " ".join(map(named, self.requests))
            raise GateError(f"neither version has a case of {what} to time; name another model, kernel or device")
        effort = self.effort(len(cases))
        timer = Timer(self.pool, effort, self.random, progress)
        self.instances, timer.keep = timer.instances, self.keep
        runs = timer.run(cases)
        found = {name: timer.broken.get(name) or self._judged(name, cases, runs[name], timer) for name in cases}
        for name, why in {**matching.crashed, **timer.crashed}.items():
            if name in found and found[name].outcome in ("same", "improvement"):
                text = f"{in_words(cases[name][1])} is undecided: it crashed once, but not when tried again: {why}"
                found[name] = msgspec.structs.replace(found[name], outcome="undecided", text=text)
        timed = {name: case for name, case in cases.items() if name not in timer.broken}
        if self.alone and timed:
            try:
                found |= self._alone(timed, matching, found, progress)
            except HostError as error:
                self.notes.append(f"each version alone: not tried, {self._whose(error)}")
        self.findings += found.values()

    def _alone(
        self, cases: Mapping[str, Cases], matching: Matching, found: Mapping[str, Finding], progress: Progress
    ) -> dict[str, Finding]:
        """Return the findings of the trial of each version alone, and those of cases that contradict it.

        A case that changed in the same direction in both is no contradiction: only its amount is in doubt.
        """
        trial = Alone(self.pool, cases, matching.larger, self.effort(len(cases)), self.random, progress)
        changes = {} if self.pool.apart else {name: found[name].change or 0.0 for name in cases}
        more, doubts = trial.run(changes)
        findings = {f"alone {number}": one for number, one in enumerate(more)}
        for name, alone in doubts.items():
            one, who = found[name], in_words(cases[name][1])
            same_way = (one.outcome, alone > 0) in (("regression", True), ("improvement", False))
            if not same_way:
                shared = f"it {_compared(one.change or 0.0)} in a shared process, and {takes(alone)} in its own"
                findings[name] = msgspec.structs.replace(one, outcome="undecided", text=f"{who} is undecided: {shared}")
        return findings

    def effort(self, cases: int) -> Effort:
        """Return the effort for a number of cases: the chosen fields, or the defaults of shared or own processes."""
        usual = TOGETHER
        if self.pool.apart:
            usual = replace(APART, processes=max(APART.processes, fewest(max(cases, 1))))
        return replace(usual, **self.chosen)

    def _whose(self, error: HostError) -> str:
        if error.side is None or self.environment:
            return self.pool.failure(error)
        return f"{self.pool.trees[error.side].label} cannot be loaded: {error}"

    def _judged(self, name: str, cases: Mapping[str, Cases], run: Observations, timer: Timer) -> Finding:
        """Return the finding of a case, which is run once more if the first run shows a change."""
        threshold = timer.effort.threshold_of(name)

        def again() -> Observations:
            return timer.run({name: cases[name]})[name]

        try:
            decision = judge_change(run, again, threshold, len(cases))
        except ValueError:  # the second run has no instance
            if name not in timer.broken:
                raise
        if name in timer.broken:  # it broke in the second run
            return timer.broken[name]
        who = in_words(cases[name][1])
        mine = [one for one in self.instances if one["case"] == name]
        clocks = [one["clock_mhz"] for one in mine if one["clock_mhz"]]
        if clocks and min(clocks) < CLOCK_DROP * max(clocks):
            self.notes.append(f"{who}: GPU clock dropped from {max(clocks):g} to {min(clocks):g} MHz")
        return _finding(name, cases[name][1], decision, threshold, mine)


def _compared(change: float) -> str:
    """Return a relative change of seconds as a predicate: ``is 1.8% slower``, or ``takes the same time``."""
    return f"is {_percent(change)}" if abs(change) >= 0.0005 else "takes the same time"


def _percent(change: float) -> str:
    """Return a relative change of seconds in words: ``1.8% slower``."""
    return f"{abs(change):.1%} {'slower' if change > 0 else 'faster'}"


def _finding(
    name: str, case: Mapping[str, Any], decision: Decision, threshold: float, instances: Sequence[Mapping[str, Any]]
) -> Finding:
    change = decision.change
    verdict = {
        "regression": f"is {_percent(change.change)}",
        "improvement": f"is {_percent(change.change)}",
        "same": "takes the same time",
        "undecided": f"is undecided: {decision.why}",
    }[decision.outcome]
    return Finding(
        "time",
        name,
        "seconds",
        decision.outcome,
        f"{in_words(case)} {verdict}",
        median(one["before_s"] for one in instances),
        median(one["after_s"] for one in instances),
        change.change,
        change.interval,
        threshold,
        model_of(case),
    )

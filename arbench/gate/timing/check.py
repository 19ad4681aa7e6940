"""The timing gate: two versions timed in turns, instance by instance, and what that says of each case."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from arbench.bench.progress import Progress, Quiet
from arbench.findings import Finding, Outcome
from arbench.gate.timing.holding import Apart, Cases, HoldingError, Together
from arbench.gate.timing.protocol import Refusal, Verified
from arbench.gate.timing.trees import Tree
from arbench.gate.words import OPS
from arbench.stats.change import Decision, Run, decide, fewest

INSTANCE_S = 0.2
"""Of one side's calls in an instance, about; as many as that takes, within the limits below."""
ROUNDS = (10, 60)
"""Fewest and most rounds of an instance."""
SAMPLE_S = 3e-4
"""Calls shorter than this are made several on end, for the clock and for the caches."""
LONGEST_S = 60.0
"""What one run of a case may take, of as many instances as are usual; a longer one is not made."""
FAR_SLOWER = 10.0
"""Times the old version's seconds: what a new one takes that has no time to finish an instance."""
SAG = 0.95
"""A GPU's clock below this part of its highest in the same case is said."""


class GateError(Exception):
    """A check that could not be made; the message is one line for the user."""


class MissingError(GateError):
    """What was asked for is in neither version."""


@dataclass(frozen=True)
class Effort:
    """How much is timed, and what counts.

    Args:
        processes, instances: fresh processes, and instances in each.
        threshold: the least relative change that counts.
        thresholds: of cases whose id holds the text, instead.
    """

    processes: int = 4
    instances: int = 8
    threshold: float = 0.003
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def counts(self, case: str) -> float:
        """The threshold of a case: that of the last text that it holds."""
        return [self.threshold, *(value for text, value in self.thresholds.items() if text in case)][-1]


TOGETHER = Effort()
APART = Effort(processes=10, instances=1, threshold=0.02)
"""Where each version needs a process of its own: a pair of processes is one observation, some percent off."""


@dataclass
class Gate:
    """One timing check.

    Args:
        before, after: the versions.
        asked: fields of ``Options`` (or ``KernelOptions``), one mapping for each model that is asked of.
        chosen: fields of ``Effort`` that are not as the way of holding needs them.
        kernels: whether kernels are asked of.
        seed: of every order that is drawn.
        threads, timeout, facts: as of ``holding.Process``.
    """

    before: Tree
    after: Tree
    asked: Sequence[Mapping[str, Any]]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    kernels: bool = False
    seed: int = 0
    threads: int = 1
    timeout: float = 120.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Quiet)

    def __post_init__(self) -> None:
        self.trees = (self.before, self.after, self.before)
        self.apart = any(tree.python for tree in self.trees)
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.instances: list[dict[str, Any]] = []
        self.environment: dict[str, Any] = {}
        self.random = random.Random(self.seed)
        self.started = 0
        self.many = 1
        self.broken: dict[str, Finding] = {}

    def run(self) -> None:
        """Makes the check; fills ``findings``, ``notes``, ``instances`` and ``environment``.

        Raises:
            MissingError: neither version has what was asked for.
            GateError: a version cannot be loaded.
        """
        while True:
            try:
                return self._made()
            except HoldingError as error:
                loaded = bool(self.environment)
                if self.apart or (loaded and not error.apart):
                    raise GateError(self._whose(error)) from None
                self.apart = True
                counts = f"a change counts from {self.settled.threshold:.0%}"
                why = f"the versions cannot share a process ({error}): each has its own, {counts}"
                self.findings, self.instances, self.notes, self.broken = [], [], [why], {}

    def _made(self) -> None:
        self.progress.stage("loading both versions", 1, 0)
        with self._held(1) as holdings:
            self.environment = holdings[0].environment
            cases = self._plan(holdings)
        if not cases and not self.findings:
            what = " ".join(name for one in self.asked for name in one.get("kernels") or one.get("models") or ())
            raise GateError(f"neither version has anything to time of {what}")
        self.many = max(len(cases), 1)
        runs = self._runs(cases)
        for name in cases:
            if name in self.broken:
                self.findings.append(self.broken[name])
            else:
                self.findings.append(self._judged(name, cases[name], runs[name], len(cases)))

    @property
    def settled(self) -> Effort:
        """What is timed: as asked, or as the way of holding needs."""
        usual = replace(APART, processes=max(APART.processes, fewest(self.many))) if self.apart else TOGETHER
        return replace(usual, **self.chosen)

    def _whose(self, error: HoldingError) -> str:
        if error.side is None:
            return str(error)
        return f"{self.trees[error.side].label} cannot be loaded: {error}"

    def _opened(self, kind: type[Together] | type[Apart]) -> Together | Apart:
        """A fresh process, or a set of them, on its way."""
        self.started += 1
        seed = (1000 * self.seed + 10 * self.started) % 2**63
        return kind(self.trees, seed, threads=self.threads, facts=self.facts, timeout=self.timeout)

    def _replace(self, holdings: list[Any], place: int) -> None:
        """A fresh process for one that ended or fell silent, whose late answers nobody shall hear."""
        holdings[place].close()
        holdings[place] = self._opened(Apart if self.apart else Together)
        holdings[place].ready()

    @contextmanager
    def _held(self, count: int) -> Iterator[list[Any]]:
        """So many fresh processes, or sets of them, all sides loaded."""
        kind = Apart if self.apart else Together
        found: list[Together | Apart] = []
        try:
            for _ in range(count):
                found.append(self._opened(kind))
            for holding in found:
                holding.ready()
            yield found
        finally:
            for holding in found:
                holding.close()

    def _plan(self, holdings: list[Any]) -> dict[str, Cases]:
        """The cases that both versions have, by id; those of one alone become findings."""
        found: dict[str, Cases] = {}
        for asked in self.asked:
            options = [_placed(asked, tree, self.after) for tree in self.trees]
            old, new, _ = holdings[0].plan(options, self.kernels).sides
            if isinstance(new, Refusal) or isinstance(old, Refusal):
                self._refused(" ".join(asked.get("models") or asked.get("kernels") or ()), old, new)
                continue
            for name in _short(asked, old, new):
                if name not in new or name not in old:
                    self._one_sided(name, name in new)
                elif name not in found and self._right(holdings, name, (old[name], new[name])):
                    found[name] = (old[name], new[name], old[name])
        return found

    def _refused(self, what: str, old: Any, new: Any) -> None:
        """Takes down that a version does not plan what it was asked. Raises MissingError if neither does."""
        refusal = new if isinstance(new, Refusal) else old
        if isinstance(new, Refusal) and isinstance(old, Refusal):
            raise MissingError(refusal.why)
        if refusal.absent:
            self._one_sided(what, refusal is old, f" ({refusal.why})")
            return
        outcome: Outcome = "regression" if refusal is new else "unmeasured"
        where = (self.after if refusal is new else self.before).label
        self.findings.append(Finding("time", what, "case", outcome, f"{what} fails in {where}: {refusal.why}"))

    def _one_sided(self, what: str, added: bool, why: str = "") -> None:
        lacks = (self.before if added else self.after).label
        text = f"{in_words(what) if not why else what}: {lacks} does not have it{why}"
        self.findings.append(Finding("time", what, "case", "added" if added else "removed", text))

    def _right(self, holdings: list[Any], name: str, pair: Cases) -> bool:
        """Whether the new version gives the right answer; what is wrong is not timed."""
        self.progress.stage(f"verifying {in_words(name)}", 1, 0)
        proof = self._proof(holdings, 1, pair[1])
        if proof.status == "ok":
            return True
        before = self._proof(holdings, 0, pair[0]).status
        outcome: Outcome = "regression" if before == "ok" else "unmeasured"
        said = "fails" if proof.status == "error" else f"is {proof.status}"
        text = f"{in_words(name)} {said}{' now' if before == 'ok' else ''}: {proof.error}"
        self.findings.append(Finding("time", name, "verification", outcome, text, before, proof.status))
        return False

    def _proof(self, holdings: list[Any], side: int, case: Mapping[str, Any]) -> Verified:
        """What a version's verification finds; one that raises, crashes or hangs in it is an error of its."""
        try:
            found: Verified = holdings[0].verify(side, case)
        except HoldingError as error:
            if error.apart and not self.apart:
                raise
            if error.gone:
                self._replace(holdings, 0)
            return Verified("error", str(error))
        return found

    def _runs(self, cases: Mapping[str, Cases]) -> dict[str, Run]:
        """A run of several cases, their instances mixed."""
        effort = self.settled
        found: dict[str, Run] = {name: Run([], []) for name in cases}
        steps = effort.processes * effort.instances * len(cases)
        self.progress.stage("timing in turns" if len(cases) > 1 else "timing", steps, 0)
        batch = 1 if self.apart else effort.processes
        for _ in range(0, effort.processes, batch) if cases else ():
            with self._held(batch) as holdings:
                first = self.started - batch + 1
                for place in range(batch):
                    for _ in range(effort.instances):
                        for name in self.random.sample(list(cases), len(cases)):
                            if name not in self.broken:
                                self._instance(holdings, place, first + place, name, cases[name], found[name])
                            self.progress.step(name)
        return found

    def _instance(self, holdings: list[Any], place: int, process: int, name: str, cases: Cases, run: Run) -> None:
        effort = self.settled
        instances = min(effort.processes * effort.instances, TOGETHER.processes * TOGETHER.instances)
        try:
            call_s = holdings[place].hold(cases, range(len(cases)))
            rounds, calls = sizes(call_s)
            if rounds * calls * call_s * len(cases) * instances > LONGEST_S:
                text = f"{in_words(name)}: a call takes {call_s:.2g} s, too long here; choose a smaller N"
                self.broken[name] = Finding("time", name, "seconds", "unmeasured", text)
                return
            timed = holdings[place].turns(rounds, calls)
        except HoldingError as error:
            if error.apart and not self.apart:
                raise
            if error.gone:
                self._replace(holdings, place)
                if error.side is None:
                    error = self._blamed(holdings, place, cases, error)
            worse = error.side == 1
            text = f"{in_words(name)} fails{' now' if worse else ''}: {error}"
            outcome: Outcome = "regression" if worse else "unmeasured"
            self.broken[name] = Finding("time", name, "case", outcome, text)
            return
        old, new, same = timed.seconds
        run.ratios.append(median(b / a for a, b in zip(old, new, strict=True)))  # type: ignore[attr-defined]
        run.equal.append(median(b / a for a, b in zip(old, same, strict=True)))  # type: ignore[attr-defined]
        self.instances.append(
            {
                "case": name,
                "process": process,
                "rounds": rounds,
                "calls": calls,
                "before_s": median(old),
                "after_s": median(new),
                "again_s": median(same),
                "ratio": run.ratios[-1],
                "equal": run.equal[-1],
                "clock_mhz": timed.clock_mhz,
            }
        )

    def _blamed(self, holdings: list[Any], place: int, cases: Cases, error: HoldingError) -> HoldingError:
        """The error with the side that is to blame, where a process ended or fell silent: one that takes much
        longer than the others, or fails in a process of its own."""
        try:
            holdings[place].hold(cases, range(len(cases)))
            (old,), (new,), (same,) = holdings[place].turns(1, 1).seconds
            if new > FAR_SLOWER * max(old, same):
                return HoldingError(f"{error}; a call takes {new:.2g} s, {old:.2g} s before", 1)
            return error
        except HoldingError as again:
            if again.side is not None:
                return again
        self._replace(holdings, place)
        alone = self._opened(Apart)
        try:
            alone.ready()
            alone.hold(cases, range(len(cases)))
        except HoldingError as found:
            return found
        finally:
            alone.close()
        return error

    def _judged(self, name: str, cases: Cases, run: Run, many: int) -> Finding:
        threshold = self.settled.counts(name)

        def again() -> Run:
            return self._runs({name: cases})[name]

        try:
            decision = decide(run, again, threshold, many)
        except ValueError:
            if name not in self.broken:
                raise
        if name in self.broken:  # when it was run again, maybe before its first instance was done
            return self.broken[name]
        mine = [one for one in self.instances if one["case"] == name]
        clocks = [one["clock_mhz"] for one in mine if one["clock_mhz"]]
        if clocks and min(clocks) < SAG * max(clocks):
            self.notes.append(f"{in_words(name)}: the GPU's clock sagged from {max(clocks):g} to {min(clocks):g} MHz")
        return _finding(name, decision, threshold, mine)


def _short(asked: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The cases of either side; where no size is asked, those of the smallest that both have, if they do."""
    both = {**old, **new}
    shared = {name: case for name, case in both.items() if name in old and name in new}
    every = asked.get("n") or asked.get("kernels") or not both
    least = None if every else min(case["n"] for case in (shared or both).values())
    return [name for name, case in both.items() if least in (None, case["n"])]


def sizes(call_s: float) -> tuple[int, int]:
    """Rounds of an instance, and calls on end in each, for a call that takes so many seconds."""
    call_s = max(call_s, 1e-9)
    calls = max(1, math.ceil(SAMPLE_S / call_s))
    return min(ROUNDS[1], max(ROUNDS[0], int(INSTANCE_S / (call_s * calls)))), calls


def _placed(asked: Mapping[str, Any], tree: Tree, checked: Tree) -> dict[str, Any]:
    """The options as a tree needs them: models in files are those of the tree, by absolute path too."""

    def there(spec: str) -> str:
        place, colon, rest = spec.partition(":")
        if not place.endswith(".py"):
            return spec
        path = Path(place)
        if path.is_absolute() and path.resolve().is_relative_to(checked.root.resolve()):
            return f"{tree.root / path.resolve().relative_to(checked.root.resolve())}{colon}{rest}"
        return f"{tree.place / path}{colon}{rest}"

    models = [there(spec) for spec in asked.get("models") or ()]
    return {**asked, **({"models": models} if models else {})}


def in_words(case: str) -> str:
    """A case's id as a user says it: 'cached sampling of wavenet:nv (N = 64)'."""
    model, op, method, *where = case.rsplit("/", 7)
    what = f"{method} {OPS[op]} of {model}" if op in OPS else f"{model} {op} by {method}"
    return f"{what} (N = {where[-1].removeprefix('n')})"


def percent(change: float) -> str:
    """'1.8% slower'."""
    return f"{abs(change):.1%} {'slower' if change > 0 else 'faster'}"


def _finding(name: str, decision: Decision, threshold: float, mine: Sequence[Mapping[str, Any]]) -> Finding:
    found, ends = decision.change, decision.change.interval
    said = {
        "regression": f"is {percent(found.change)}",
        "improvement": f"is {percent(found.change)}",
        "same": "takes the same time",
        "undecided": f"is undecided: {decision.why}",
    }[decision.outcome]
    text = f"{in_words(name)} {said}"
    return Finding(
        "time",
        name,
        "seconds",
        decision.outcome,
        text,
        median(one["before_s"] for one in mine),
        median(one["after_s"] for one in mine),
        found.change,
        ends,
        threshold,
    )

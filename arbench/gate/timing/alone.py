"""Trial of each version alone, in processes of their own.

It shows what a version does to a process that it shares: it slows the other version too, and their ratio stays 1. It
also measures what turns in a warm process leave out: the import, the first result, peak memory, and a large size.
Processes differ by some percent, so thresholds are higher here. Figures come from pairs of processes; a change must
show in every pair, and in every pair of a second set.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from arbench.bench.progress import Progress
from arbench.findings import Finding, Outcome
from arbench.gate.timing.effort import SHORTEST_SAMPLE_S, Effort
from arbench.gate.timing.hosts import Cases, HostError
from arbench.gate.timing.matching import in_words, model_of
from arbench.gate.timing.pair import Pair, Two
from arbench.gate.timing.pool import HostPool
from arbench.gate.timing.sides import PACKAGE

PAIRS = (2, 3)
"""Pairs of processes: at first, and again for what changed."""
ROUNDS = 5
LARGEST_S = 0.1
"""Longest call of the largest size that is timed."""
CONTRADICTION = 0.10
"""Smallest difference between the change alone and the change in a shared process that the scatter of processes does
not explain."""
THRESHOLDS = {"import_s": 0.25, "first_s": 0.25, "peak_bytes": 0.01, "largest_s": 0.10}
"""Smallest relative change to report, by metric."""
LEAST_S = {"import_s": 0.02, "first_s": 0.02}
"""Smallest change in seconds to report of what a process does once: shorter ones are noise."""
WORDS = {
    "import_s": "the import of the package",
    "first_s": "the first result of {}",
    "peak_bytes": "the peak memory of {}",
    "largest_s": "{}",
}
SHARED = "shared"
"""Metric of calls of the size that is also timed in a shared process."""
FIRST = "first_s of the process"
"""Metric of the first result of a process, of whichever case comes first: it pays for all that cases share."""
Sized = tuple[str, Cases]
"""A case at some size, with its id."""
Step = tuple[Literal["first", "base", "largest"], str]
"""One step of a pair, and the id of the case."""


@dataclass
class Figures:
    """One metric of one case.

    Attributes:
        id: id of the case, or the package's name for what is of no case.
        case: the case as each version plans it, if any.
        pairs: figures of both versions, one for each pair of processes.
    """

    id: str
    case: Cases | None
    pairs: list[Two]

    def change(self) -> float:
        """Return the relative change, median over pairs."""
        return median(after / before for before, after in self.pairs) - 1

    def beyond(self, threshold: float, expected: float = 0.0, least: float = 0.0) -> Literal["more", "less"] | None:
        """Return the direction in which every pair changed.

        Args:
            threshold: smallest relative change, from the expected one.
            expected: relative change that is none.
            least: smallest change in the unit of the metric.
        """
        ratios = [after / before / (1 + expected) for before, after in self.pairs]
        changes = [after - before for before, after in self.pairs]
        if min(ratios) > 1 + threshold and min(changes) >= least:
            return "more"
        return "less" if max(ratios) < 1 / (1 + threshold) and max(changes) <= -least else None


Found = dict[tuple[str, str], Figures]
"""Figures by the id of the case that was to be timed, or the package's name, and metric."""


class Alone:
    """Trial of cases in pairs of processes.

    Args:
        pool: the versions.
        cases: the cases to time, by id.
        larger: larger sizes of each case with their ids, ascending.
        effort: thresholds that the user chose, by metric.
        rng: source of the order of cases.
        progress: receiver of the stages.

    Attributes:
        broken: finding for each step that fails in a process of its own.
    """

    def __init__(
        self,
        pool: HostPool,
        cases: Mapping[str, Cases],
        larger: Mapping[str, Sequence[Sized]],
        effort: Effort,
        rng: random.Random,
        progress: Progress,
    ) -> None:
        self.pool, self.cases, self.effort = pool, cases, effort
        self.broken: dict[Step, Finding] = {}
        self._larger = larger
        self._largest: dict[str, Sized | None] = {}
        self._unknown: dict[str, Finding] = {}
        self._died: set[tuple[Step, int | None]] = set()
        self._crashed: dict[Step, Finding] = {}
        self._random, self._progress = rng, progress

    def run(self, changes: Mapping[str, float]) -> tuple[list[Finding], dict[str, float]]:
        """Measure all cases.

        Args:
            changes: relative change of each case in a shared process; cases without one are not compared with it.

        Returns:
            Findings, one for each metric of a case and for each failure; and the relative change alone of each case
            that contradicts the one in a shared process.

        Raises:
            HostError: a process does not start.
        """
        first = self._measured(PAIRS[0], self.cases)
        suspects = {key for key, figures in first.items() if self._way(key[1], figures, changes.get(key[0]))}
        names = {name for name, _ in suspects} - {PACKAGE}
        if (PACKAGE, FIRST) in suspects:
            names = set(self.cases)
        second = self._measured(PAIRS[1], names) if suspects else {}
        crashed = [finding for step, finding in self._crashed.items() if step not in self.broken]
        findings: list[Finding] = [*self.broken.values(), *self._unknown.values(), *crashed]
        doubts: dict[str, float] = {}
        for (name, metric), figures in first.items():
            again = second.get((name, metric))
            if metric != SHARED:
                findings.append(self._finding(metric, figures, again))
            elif again is not None and (way := self._way(metric, figures, changes.get(name))) is not None:
                confirmed = self._way(metric, again, changes.get(name)) == way
                doubts |= {name: again.change()} if confirmed else {}
        return findings, doubts

    def _threshold(self, metric: str) -> float:
        metric = metric.partition(" ")[0]
        return self.effort.thresholds.get(metric, THRESHOLDS[metric])

    def _way(self, metric: str, figures: Figures, change: float | None) -> Literal["more", "less"] | None:
        """Return the direction of a change to report, or of a contradiction to the change in a shared process."""
        if metric != SHARED:
            return figures.beyond(self._threshold(metric), least=LEAST_S.get(metric.partition(" ")[0], 0.0))
        return None if change is None else figures.beyond(CONTRADICTION, change)

    def _measured(self, pairs: int, names: Collection[str]) -> Found:
        found: Found = {}
        self._progress.stage("each version alone", pairs * max(1, len(names)), 0)
        for _ in range(pairs):
            order = self._random.sample(sorted(names), len(names))
            todo: list[Step] = [("first", name) for name in order]
            for name in order:
                todo += [("base", name), ("largest", name)]
            while not self._one_pair(todo, found):
                pass
        return found

    def _one_pair(self, todo: list[Step], found: Found) -> bool:
        """Take steps in one pair of processes until one fails; return whether none did.

        All first results come before the first comparison with a verified outcome: that runs code of the model, and not
        every version makes it.
        """
        pair, imported = self._loaded()
        try:
            if self.pool.after.has_package:
                _keep(found, PACKAGE, "import_s", (PACKAGE, None), imported)
            fresh = True
            while todo:
                step = todo.pop(0)
                kind, name = step
                if kind == "base":
                    self._progress.step(name)
                if {step, ("first", name), ("base", name)} & self.broken.keys():
                    continue
                try:
                    self._take(step, pair, found, fresh)
                    fresh = False
                except HostError as error:
                    if error.death is None or (step, error.side) in self._died:
                        self.broken[step] = self._failed(step, error)
                        return False
                    self._died.add((step, error.side))
                    if not error.death.outside:
                        self._crashed[step] = self._failed(step, error, once=True)
                    todo.insert(0, step)
                    return False
        finally:
            pair.close()
        return True

    def _loaded(self) -> tuple[Pair, Two]:
        """Return a fresh pair and the seconds of both imports; one that dies meanwhile is replaced once."""
        pair = self.pool.pair()
        try:
            return pair, pair.ready()
        except HostError as error:
            pair.close()
            if error.death is None:
                raise
        pair = self.pool.pair()
        try:
            return pair, pair.ready()
        except HostError:
            pair.close()
            raise

    def _take(self, step: Step, pair: Pair, found: Found, fresh: bool) -> None:
        kind, name = step
        case = self.cases[name]
        if kind == "first":
            first, _ = pair.build(case, check=False)
            _keep(found, name, "first_s", (name, case), first)
            if fresh:
                _keep(found, PACKAGE, FIRST, (PACKAGE, None), first)
        elif kind == "base":
            _, call_s = pair.build(case)
            calls = max(1, round(SHORTEST_SAMPLE_S / max(call_s, 1e-9)))
            _keep(found, name, SHARED, (name, case), _medians(pair.time(ROUNDS, calls)))
            before, after = pair.peaks()
            if before is not None and after is not None:
                _keep(found, name, "peak_bytes", (name, case), (max(before, 1), max(after, 1)))
            elif (before is None) != (after is None):
                self._unknown[name] = _unknown(name, case, "old" if before is None else "new")
        elif (sized := self._built(pair, name)) is not None:
            _keep(found, name, "largest_s", sized, _medians(pair.time(ROUNDS, 1)))

    def _built(self, pair: Pair, name: str) -> Sized | None:
        """Build the largest size whose calls are short enough, and return it; the first pair finds it."""
        if name not in self._largest:
            _, call_s = pair.build(self.cases[name])
            n = self.cases[name][1]["n"]
            self._largest[name] = None
            for sized in self._larger.get(name, ()):
                larger = sized[1][1]["n"]
                if call_s * (larger / n) ** 2 > LARGEST_S:
                    break
                self._largest[name] = sized  # named, should it fail
                _, call_s = pair.build(sized[1])
                n = larger
        elif (known := self._largest[name]) is not None:
            pair.build(known[1])
        return self._largest[name]

    def _failed(self, step: Step, error: HostError, once: bool = False) -> Finding:
        """Return the finding of a step that failed; an error or a repeated death of the new version is a regression.

        Args:
            step: the step.
            error: how it failed.
            once: whether it is a death that has not repeated.
        """
        kind, name = step
        known = self._largest.get(name) if kind == "largest" else None
        name, case = known or (name, self.cases[name])
        hung = error.gone and error.death is None
        outcome: Outcome = "undecided" if once else "regression" if error.side == 1 and not hung else "unmeasured"
        how = "crashes in a process of its own, but not when tried again" if once else "fails in a process of its own"
        return Finding("time", name, "case", outcome, f"{in_words(case[1])} {how}: {error}", model=model_of(case[1]))

    def _finding(self, metric: str, figures: Figures, again: Figures | None) -> Finding:
        threshold, shown = self._threshold(metric), self._way(metric, figures, None)
        case, metric = figures.case, metric.partition(" ")[0]
        what = WORDS[metric].format(in_words(case[1]) if case else "a process")
        memory = metric == "peak_bytes"
        outcome: Outcome = "same"
        text = f"{what} {'is the same' if memory else 'takes the same time'}"
        if shown is not None and again is not None:
            confirmed = self._way(metric, again, None) == shown
            figures = again
            outcome = ("regression" if shown == "more" else "improvement") if confirmed else "undecided"
            text = f"{what} {_differs(again.change()) if memory else takes(again.change())}"
            if not confirmed:
                text = f"{what} is undecided: it changed at first, but not clearly when measured again"
        before, after = _medians(tuple(zip(*figures.pairs, strict=True)))
        return Finding(
            "time",
            figures.id,
            metric,
            outcome,
            text,
            round(before) if memory else before,
            round(after) if memory else after,
            figures.change(),
            None,
            threshold,
            model_of(case[1]) if case else PACKAGE,
        )


def _keep(found: Found, name: str, metric: str, sized: tuple[str, Cases | None], figures: Two) -> None:
    found.setdefault((name, metric), Figures(*sized, [])).pairs.append(figures)


def _unknown(name: str, case: Cases, which: str) -> Finding:
    text = (
        f"the peak memory of {in_words(case[1])} is unknown in the {which} version, which uses memory that is not seen"
    )
    return Finding("time", name, "peak_bytes", "unmeasured", text, model=model_of(case[1]))


def _medians(both: Sequence[Sequence[float]]) -> Two:
    before, after = map(median, both)
    return before, after


def takes(change: float) -> str:
    """Return a relative change of seconds as a predicate: ``takes 50% longer``, or ``takes 8.6 times as long``."""
    if change >= 1:
        return f"takes {1 + change:.1f} times as long"
    return f"takes {change:.0%} longer" if change > 0 else f"takes {-change:.0%} less time"


def _differs(change: float) -> str:
    """Return a relative change of memory as a predicate: ``is 1.8% higher``, or ``is 8.6 times as high``."""
    if change >= 1:
        return f"is {1 + change:.1f} times as high"
    return f"is {abs(change):.1%} {'higher' if change > 0 else 'lower'}"

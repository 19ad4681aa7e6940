"""Trial of each version alone, in processes of their own.

It shows what a version does to a process that it shares: it slows the other version too, and their ratio stays 1. It
also measures what turns in a warm process leave out: the import, the first result, peak memory, and a large size.
Processes differ by some percent, so thresholds are higher here. Figures come from pairs of processes; a change must
show in every pair, and in every pair of a second set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
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
    "import_s": "importing the package",
    "first_s": "the first result of {}",
    "peak_bytes": "peak memory of {}",
    "largest_s": "{}",
}
SHARED = "shared"
"""Metric of calls of the size that is also timed in a shared process."""
Sized = tuple[str, Cases]
"""A case at another size, with its id."""
Key = tuple[str, str]
"""Id of a case, or the package's name for its import, and metric."""


@dataclass
class Figures:
    """One metric of one case.

    Attributes:
        id: id of the case; the package's name for its import.
        case: the case as each version plans it; None for the import.
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
        broken: finding for each case that fails in a process of its own, by id.
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
        self.broken: dict[str, Finding] = {}
        self._larger = larger
        self._largest: dict[str, Sized | None] = {}
        self._random, self._progress = rng, progress

    def run(self, changes: Mapping[str, float]) -> tuple[list[Finding], dict[str, float]]:
        """Measure all cases.

        Args:
            changes: relative change of each case in a shared process; cases without one are not compared with it.

        Returns:
            Findings, one for each metric of a case; and the relative change alone of each case that contradicts the
            one in a shared process.
        """
        first = self._measured(PAIRS[0], self.cases)
        suspects = {key[0] for key, figures in first.items() if self._changed(key, figures, changes)}
        second = self._measured(PAIRS[1], suspects - {PACKAGE}) if suspects else {}
        findings: list[Finding] = []
        doubts: dict[str, float] = {}
        for (name, metric), figures in first.items():
            if name in self.broken:
                continue
            again = second.get((name, metric))
            if metric != SHARED:
                findings.append(self._finding(name, metric, figures, again))
            elif again is not None and (way := self._changed((name, metric), figures, changes)) is not None:
                confirmed = self._changed((name, metric), again, changes) == way
                doubts |= {name: again.change()} if confirmed else {}
        return findings, doubts

    def _threshold(self, metric: str) -> float:
        return self.effort.thresholds.get(metric, THRESHOLDS[metric])

    def _changed(self, key: Key, figures: Figures, changes: Mapping[str, float]) -> Literal["more", "less"] | None:
        name, metric = key
        if metric != SHARED:
            return figures.beyond(self._threshold(metric), least=LEAST_S.get(metric, 0.0))
        return figures.beyond(CONTRADICTION, changes[name]) if name in changes else None

    def _measured(self, pairs: int, names: Collection[str]) -> dict[Key, Figures]:
        found: dict[Key, Figures] = {}
        self._progress.stage("each version alone", pairs * max(1, len(names)), 0)
        for _ in range(pairs):
            todo = self._random.sample(sorted(names), len(names))
            while not self._one_pair(todo, found):
                pass
        return found

    def _one_pair(self, todo: list[str], found: dict[Key, Figures]) -> bool:
        """Measure cases in one pair of processes until one fails; return whether none did.

        All first results come before the first comparison with a verified outcome: that runs code of the model, and not
        every version makes it.
        """
        pair = self.pool.pair()
        try:
            imported = pair.ready()
            if self.pool.after.has_package:
                _keep(found, PACKAGE, "import_s", (PACKAGE, None), imported)
            for name in todo[:]:
                if not self._sound(name, lambda name: self._first(pair, name, found)):
                    todo.remove(name)
                    return False
            while todo:
                name = todo.pop()
                self._progress.step(name)
                if not self._sound(name, lambda name: self._rest(pair, name, found)):
                    return False
        finally:
            pair.close()
        return True

    def _sound(self, name: str, measure: Callable[[str], None]) -> bool:
        """Measure a case unless it is broken; return whether it did not break now."""
        if name not in self.broken:
            try:
                measure(name)
            except HostError as error:
                self.broken[name] = self._failed(name, error)
                return False
        return True

    def _first(self, pair: Pair, name: str, found: dict[Key, Figures]) -> None:
        case = self.cases[name]
        first, _ = pair.build(case, check=False)
        _keep(found, name, "first_s", (name, case), first)

    def _rest(self, pair: Pair, name: str, found: dict[Key, Figures]) -> None:
        case = self.cases[name]
        _, call_s = pair.build(case)
        calls = max(1, round(SHORTEST_SAMPLE_S / max(call_s, 1e-9)))
        _keep(found, name, SHARED, (name, case), _medians(pair.time(ROUNDS, calls)))
        before, after = pair.peaks()
        if before and after:
            _keep(found, name, "peak_bytes", (name, case), (before, after))
        if name not in self._largest:
            self._largest[name] = self._climbed(pair, name, call_s)
        elif (sized := self._largest[name]) is not None:
            pair.build(sized[1])
        if (sized := self._largest[name]) is not None:
            _keep(found, name, "largest_s", sized, _medians(pair.time(ROUNDS, 1)))

    def _climbed(self, pair: Pair, name: str, call_s: float) -> Sized | None:
        """Build the largest size whose calls are short enough, and return it; None if all take too long."""
        found: Sized | None = None
        n = self.cases[name][1]["n"]
        for sized in self._larger.get(name, ()):
            if call_s * (sized[1][1]["n"] / n) ** 2 > LARGEST_S:
                break
            _, call_s = pair.build(sized[1])
            found, n = sized, sized[1][1]["n"]
        return found

    def _failed(self, name: str, error: HostError) -> Finding:
        case = self.cases[name]
        outcome: Outcome = "regression" if error.side == 1 else "unmeasured"
        text = f"{in_words(case[1])} fails in a process of its own: {error}"
        return Finding("time", name, "case", outcome, text, model=model_of(case[1]))

    def _finding(self, name: str, metric: str, figures: Figures, again: Figures | None) -> Finding:
        key, case = (name, metric), figures.case
        threshold, shown = self._threshold(metric), self._changed(key, figures, {})
        what = WORDS[metric].format(in_words(case[1]) if case else "")
        unit = "memory" if metric == "peak_bytes" else "time"
        outcome: Outcome = "same"
        text = f"{what} takes the same {unit}"
        if shown is not None and again is not None:
            confirmed = self._changed(key, again, {}) == shown
            figures = again
            outcome = ("regression" if shown == "more" else "improvement") if confirmed else "undecided"
            text = f"{what} takes {more_of(again.change(), unit)}"
            if not confirmed:
                text = f"{what} is undecided: it changed at first, but not clearly when measured again"
        before, after = _medians(tuple(zip(*figures.pairs, strict=True)))
        return Finding(
            "time",
            figures.id,
            metric,
            outcome,
            text,
            before,
            after,
            figures.change(),
            None,
            threshold,
            model_of(case[1]) if case else PACKAGE,
        )


def _keep(found: dict[Key, Figures], name: str, metric: str, sized: tuple[str, Cases | None], figures: Two) -> None:
    found.setdefault((name, metric), Figures(*sized, [])).pairs.append(figures)


def _medians(both: Sequence[Sequence[float]]) -> Two:
    before, after = map(median, both)
    return before, after


def more_of(change: float, unit: str) -> str:
    """Return a relative change in words: ``1.8% more time``, or ``8.6 times the time``."""
    if change >= 1:
        return f"{1 + change:.1f} times the {unit}"
    return f"{abs(change):.1%} {'more' if change > 0 else 'less'} {unit}"

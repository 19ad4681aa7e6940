"""Whether one version is slower than another, from instances that timed both in turns.

An instance builds every side anew and times them in turns; the median of the ratios of its pairs is one
observation. A run is several instances in each of several fresh processes. A change counts if the exact
interval over instances lies beyond the least change that counts, and does so again when the case is run again
by itself. In the same instances the old version is timed against another copy of itself:
if equal code differs, the machine cannot tell, and nothing is decided. That never excuses a change: widening
what counts by the scatter of equal code would hide real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from arbench.stats.intervals import signed_rank_interval

Outcome = Literal["regression", "improvement", "same", "undecided"]
ALARMS = 0.01
"""Chance, at most, that equal code reads as slower in the first run, over all cases of a check; as much for
faster. A false alarm needs the second run as well."""
SAME = 3.0
"""Thresholds within which the whole interval must lie for two versions to be called the same."""


@dataclass(frozen=True)
class Run:
    """The instances of one run of a case; above 1 the second of two is slower."""

    ratios: Sequence[float]
    """Of the new version's seconds over the old one's, one an instance."""
    equal: Sequence[float]
    """The same of equal code: another copy of the old version over it."""


@dataclass(frozen=True)
class Change:
    """How much slower; relative, 0.02 is two percent more time."""

    change: float
    """Hodges-Lehmann estimate over instances."""
    interval: tuple[float, float] | None
    """By signed ranks; None where there are too few instances for any."""

    def clears(self, threshold: float) -> Literal["slower", "faster"] | None:
        """Whether the whole interval lies beyond a change of ``threshold``, and on which side."""
        if self.interval is None:
            return None
        low, high = self.interval
        if low > threshold:
            return "slower"
        return "faster" if high < 1 / (1 + threshold) - 1 else None

    def within(self, threshold: float) -> bool:
        """Whether the whole interval lies within a change of ``threshold``."""
        if self.interval is None:
            return False
        low, high = self.interval
        return low >= 1 / (1 + threshold) - 1 and high <= threshold


@dataclass(frozen=True)
class Decision:
    """What is said of a case."""

    outcome: Outcome
    change: Change
    """Of the last run that was made: of a change that counts the second, which did not choose it."""
    why: str = ""
    """Why nothing is decided."""


def estimate(ratios: Sequence[float], confidence: float) -> Change:
    """The change over instances and its exact interval, on logarithms: equal code has them symmetric about 0.

    Args:
        ratios: positive, one an instance.
        confidence: of the interval, two-sided.

    Raises:
        ValueError: no ratios, or not all positive and finite.
    """
    if not all(ratio > 0 and math.isfinite(ratio) for ratio in ratios):
        raise ValueError("ratios must be positive and finite")
    if not ratios:
        raise ValueError("no ratios")
    logs = [math.log(ratio) for ratio in ratios]
    found = signed_rank_interval(logs, confidence)
    if found is None:
        return Change(math.expm1(median(logs)), None)
    middle, low, high = map(math.expm1, found)
    return Change(middle, (low, high))


def fewest(cases: int) -> int:
    """How many instances an interval takes in the first run of a check of so many cases."""
    return math.ceil(math.log2(cases / ALARMS))


def decide(first: Run, again: Callable[[], Run], threshold: float, cases: int = 1) -> Decision:
    """Judges one case of a check.

    Args:
        first: its instances.
        again: runs the case by itself once more, in fresh processes; called only if the first run shows a
            change that counts.
        threshold: the least change that counts, above 0.
        cases: in the whole check; the first run's confidence is raised to hold over all of them (Bonferroni).

    Raises:
        ValueError: a threshold that is not above 0, fewer than one case, or a run without instances.
    """
    if threshold <= 0 or cases < 1:
        raise ValueError(f"needs a threshold above 0 and a case, got {threshold:g} and {cases}")
    confidence = 1 - 2 * ALARMS / cases
    found = estimate(first.ratios, confidence)
    shown = found.clears(threshold)
    if doubt := _doubt(first, confidence, threshold):
        return Decision("undecided", found, doubt)
    if shown is None:
        if found.within(SAME * threshold):
            return Decision("same", found)
        wide = "too few instances" if found.interval is None else "the interval is too wide to tell"
        return Decision("undecided", found, wide)
    second = again()
    confirmed = estimate(second.ratios, 1 - 2 * ALARMS)
    if doubt := _doubt(second, 1 - ALARMS, threshold):
        return Decision("undecided", confirmed, doubt)
    if confirmed.clears(threshold) != shown:
        return Decision(
            "undecided",
            confirmed,
            f"{abs(found.change):.1%} {shown} at first, and not clearly when run again",
        )
    return Decision("regression" if shown == "slower" else "improvement", confirmed)


def _doubt(run: Run, confidence: float, threshold: float) -> str:
    """Why a run says nothing, where equal code differed by what would count as a change."""
    equal = estimate(run.equal, confidence)
    if equal.clears(threshold) is None:
        return ""
    return f"equal code differed by {abs(equal.change):.1%} in the same processes"

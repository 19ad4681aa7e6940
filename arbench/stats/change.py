"""Decision that one version is slower than another, from instances that timed both in turns.

An instance builds every version afresh and times them in turns; the ratio of its pairs is one observation. A case is
timed in several instances in each of several fresh processes. Unless its exact interval says that the versions are the
same, the case alone is timed a second time, in other processes. A change is reported if the interval over both timings
lies beyond the threshold, and the second timing by itself says so too, with less confidence. Each instance also times
the old version against another copy of itself: if equal code differs by more than the threshold, the machine is too
noisy and the case is undecided. The scatter of equal code never widens the threshold, because that would hide real
changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from arbench.stats.intervals import signed_rank_interval

Outcome = Literal["regression", "improvement", "same", "undecided"]
ALARMS = 0.005
"""Largest chance that both timings together show a change of no more than the threshold as slower in any case of a
check, and as much for faster, if instances are independent. Instances of a process share some of their scatter; against
that, equal code has to exceed the threshold to raise an alarm, and to do so in the second timing too."""
AGAIN = 0.1
"""Largest chance that the second timing by itself shows such a change as slower, and as much for faster."""
SAME = 3.0
"""Multiple of the threshold within which the whole interval must lie for two versions to be the same."""
MISSED = 0.05
"""Largest chance that one look takes a slowdown of ``SAME`` thresholds for the same, and as much for a speed-up. There
are two looks, at the first timing and at both, so that the chance over a check is up to twice that."""


@dataclass(frozen=True)
class Observations:
    """Ratios of seconds from one timing of a case, one per instance."""

    ratios: list[float]
    """New version over old version; above 1 the new version is slower."""
    equal: list[float]
    """Second copy of the old version over the first copy."""


@dataclass(frozen=True)
class Change:
    """Relative change of time: 0.02 is two percent more."""

    change: float
    """Hodges-Lehmann estimate over instances."""
    interval: tuple[float, float] | None
    """Signed-rank interval; None with too few instances."""

    def clears(self, threshold: float) -> Literal["slower", "faster"] | None:
        """Return the side on which the whole interval lies beyond ``threshold``; None if it does not."""
        if self.interval is None:
            return None
        low, high = self.interval
        if low > threshold:
            return "slower"
        return "faster" if high < 1 / (1 + threshold) - 1 else None

    def within(self, threshold: float) -> bool:
        """Return True if the whole interval lies within a change of ``threshold``."""
        if self.interval is None:
            return False
        low, high = self.interval
        return low >= 1 / (1 + threshold) - 1 and high <= threshold


@dataclass(frozen=True)
class Decision:
    """Outcome of one case."""

    outcome: Outcome
    change: Change
    """Estimate over all timings of the case, with the interval on which the outcome rests. The first timing helped to
    select a reported change, which is therefore overestimated a little."""
    why: str = ""
    """Reason for ``undecided``."""


def estimate(ratios: Sequence[float], confidence: float) -> Change:
    """Return the change over instances and its exact interval.

    Both are computed on logarithms, which are symmetric about 0 for equal code.

    Args:
        ratios: positive ratios, one per instance.
        confidence: two-sided coverage of the interval.

    Raises:
        ValueError: no ratios, or ratios that are not all positive and finite.
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
    """Return the number of instances that the first timing of a check of ``cases`` cases needs for an interval."""
    return math.ceil(math.log2(cases / ALARMS))


def judge_change(first: Observations, again: Callable[[], Observations], threshold: float, cases: int = 1) -> Decision:
    """Decide one case of a check.

    Args:
        first: the first timing.
        again: times the case alone once more, in fresh processes; called unless the first timing shows that the
            versions are the same, or is in doubt.
        threshold: smallest relative change to report, above 0.
        cases: number of cases in the check; the confidence of the intervals covers all of them (Bonferroni).

    Raises:
        ValueError: a threshold that is not above 0, fewer than one case, or a timing without instances.
    """
    if threshold <= 0 or cases < 1:
        raise ValueError(f"needs a threshold above 0 and at least one case, got {threshold:g} and {cases}")
    confidence = 1 - 2 * ALARMS / cases
    found = estimate(first.ratios, confidence)
    if doubt := _doubt(first, confidence, threshold):
        return Decision("undecided", found, doubt)
    if found.interval is None:
        return Decision("undecided", found, "too few instances")
    shown = found.clears(threshold)
    if shown is None and (same := estimate(first.ratios, 1 - 2 * MISSED)).within(SAME * threshold):
        return Decision("same", same)
    second = again()
    both = estimate(first.ratios + second.ratios, confidence)
    if doubt := _doubt(second, 1 - 2 * ALARMS, threshold):
        return Decision("undecided", both, doubt)
    way = both.clears(threshold)
    confirmed = way is not None and estimate(second.ratios, 1 - 2 * AGAIN).clears(threshold) == way
    if confirmed and shown in (None, way):
        return Decision("regression" if way == "slower" else "improvement", both)
    if shown is not None:
        why = f"{abs(found.change):.1%} {shown} at first, but not clearly when timed again"
        return Decision("undecided", both, why)
    if way is not None:
        return Decision(
            "undecided", both, f"{abs(both.change):.1%} {way} in all, but not in the second timing by itself"
        )
    if (same := estimate(first.ratios + second.ratios, 1 - 2 * MISSED)).within(SAME * threshold):
        return Decision("same", same)
    return Decision("undecided", both, "the interval is too wide to decide")


def _doubt(found: Observations, confidence: float, threshold: float) -> str:
    """Return why a timing decides nothing: equal code differed by more than the threshold; empty if it did not."""
    equal = estimate(found.equal, confidence)
    if equal.clears(threshold) is None:
        return ""
    return f"equal code differed by {abs(equal.change):.1%} in the same processes"

"""Effort of a time check: how many processes, instances, rounds and calls, and which slowdown it reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

INSTANCE_S = 0.2
"""Approximate seconds of one side's calls in an instance, within the limits below. With a third of it, a noisy machine
left a fifth of equal code undecided."""
ROUNDS = (10, 30)
"""Fewest and most rounds of an instance."""
SHORTEST_SAMPLE_S = 3e-4
"""Shorter calls are timed several in a row, for the resolution of the clock and for warm caches."""
LONGEST_RUN_S = 60.0
"""Seconds that one run of a case may take at the default effort; longer ones are not timed."""


@dataclass(frozen=True)
class Effort:
    """Amount of timing, and the smallest change to report.

    Args:
        processes: fresh processes.
        instances: instances in each process.
        threshold: smallest relative change to report.
        thresholds: the same for cases whose id contains the text, and for metrics of ``alone.THRESHOLDS``.
    """

    processes: int = 4
    instances: int = 8
    threshold: float = 0.003
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def threshold_of(self, case: str) -> float:
        """Return the threshold of a case: that of the last text in its id, or the general one."""
        return [self.threshold, *(value for text, value in self.thresholds.items() if text in case)][-1]


TOGETHER = Effort()
"""Default where the versions share a process."""
APART = Effort(processes=10, instances=1, threshold=0.005)
"""Default where each version has a process of its own: a pair of processes is one observation, some percent off."""


def sizes(call_s: float) -> tuple[int, int]:
    """Return the rounds of an instance, and the calls in a row of each round, for a call of ``call_s`` seconds."""
    call_s = max(call_s, 1e-9)
    calls = max(1, math.ceil(SHORTEST_SAMPLE_S / call_s))
    return min(ROUNDS[1], max(ROUNDS[0], int(INSTANCE_S / (call_s * calls)))), calls

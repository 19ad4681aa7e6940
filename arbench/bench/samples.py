"""Groupings of the raw samples of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from arbench.results import Samples

COLD = 2.0
"""Factor between a first call and what later or smaller ones predict, from which on the first may have compiled."""
COMPILING_S = 0.05
"""Shortest time that a first call takes longer than the next, if it compiled."""


def by_case(samples: Iterable[Samples]) -> dict[str, list[Samples]]:
    """Return the samples of each case, by its id."""
    found = defaultdict(list)
    for line in samples:
        found[line.case].append(line)
    return found


def compiles(first_s: float, later_s: float) -> bool:
    """Return whether a first call took so much longer than later ones that it may have compiled."""
    return first_s > COLD * later_s and first_s - later_s > COMPILING_S


def compiling(samples: Iterable[Samples]) -> set[str]:
    """Return the ids of the cases that compile in the first call of a process, as far as samples show it."""
    return {line.case for line in samples if line.cold_s is not None and compiles(line.cold_s, median(line.seconds))}


def seconds_by_worker(samples: Iterable[Samples]) -> dict[int, list[float]]:
    """Return every duration, by the worker that measured it."""
    found: dict[int, list[float]] = defaultdict(list)
    for line in samples:
        found[line.worker].extend(line.seconds)
    return found

"""Groupings of the raw samples of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from arbench.results import Samples


def by_case(samples: Iterable[Samples]) -> dict[str, list[Samples]]:
    """Return the samples of each case, by its id."""
    found = defaultdict(list)
    for line in samples:
        found[line.case].append(line)
    return found


def seconds_by_worker(samples: Iterable[Samples]) -> dict[int, list[float]]:
    """Return every duration, by the worker that measured it."""
    found: dict[int, list[float]] = defaultdict(list)
    for line in samples:
        found[line.worker].extend(line.seconds)
    return found

"""How a stream keeps up with real time: numbers that follow from the gaps between its chunks."""

from __future__ import annotations

from arbench.results import Case, Results
from arbench.results.threads import threads_of


def duration_s(case: Case) -> float | None:
    """Return the seconds of sound in a chunk; None for other events and methods."""
    return case.chunk / case.rate_hz if case.chunk and case.rate_hz else None


def cores(case: Case, results: Results) -> int:
    """Return the number of cores that a call uses, one for each thread; a GPU counts as one."""
    return threads_of(case, results) if case.device == "cpu" else 1


def streams(case: Case, results: Results) -> tuple[float, float] | None:
    """Return how many streams one core holds in real time, by the median and by the longest gap.

    That is the sound of all streams of the batch that a gap brings, over the gap and the cores. A figure below the
    batch means that the streams of this batch are late; by the longest gap, at least once. By the median gap half of
    the chunks may take longer than that, and readers need a buffer.
    """
    sound = duration_s(case)
    if sound is None or not case.gap_median_s or not case.gap_worst_s:
        return None
    most = case.batch * sound / cores(case, results)
    return most / case.gap_median_s, most / case.gap_worst_s

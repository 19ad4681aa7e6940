"""The metrics of a case that can be compared between files and followed over commits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from arbench.results import Case


@dataclass(frozen=True)
class Metric:
    """One number of a case, and the words for it.

    Attributes:
        name: what options and files call it.
        field: the field of `arbench.results.Case` that stores it.
        title: its name in a sentence.
        unit: its unit, empty for a plain count.
        words: the words for a larger and for a smaller value.
        exact: true for counters, which repeat exactly; false for times, which are noisy.
        portable: true where the value is the same on every machine.
        tolerance: relative difference up to which two values of an exact metric count as equal.
    """

    name: str
    field: str
    title: str
    unit: str = ""
    words: tuple[str, str] = ("more", "less")
    exact: bool = True
    portable: bool = True
    tolerance: float = 0.0

    def value(self, case: Case) -> int | float | None:
        """Return the value of ``case``; None where it is unknown or cannot be trusted.

        Times are given only where the case is ok, counters unless it is inexact. A case of a foreign
        benchmark suite, which has no backend, has a time but no counters.
        """
        found: int | float | None = getattr(case, self.field)
        if found is None:
            return None
        if self.exact:
            return found if case.status != "inexact" and case.backend else None
        return found if case.status == "ok" and 0 < found < math.inf else None


METRICS = {
    metric.name: metric
    for metric in (
        Metric("seconds", "median_s", "time", "s", ("slower", "faster"), exact=False, portable=False),
        Metric("depth", "depth", "depth"),
        Metric("nfe", "nfe", "network evaluations"),
        Metric("flops", "flops", "work", "FLOP"),
        Metric("ops", "ops", "tensor operations"),
        Metric("bytes", "bytes", "bytes moved", "B"),
        Metric("peak_bytes", "peak_bytes", "peak memory", "B", portable=False, tolerance=0.05),
        Metric("weights", "weights", "parameters"),
    )
}
"""Every metric by its name."""

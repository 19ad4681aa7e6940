"""Cases that have no value of a metric, named with the reason, so that none is passed over in silence."""

from __future__ import annotations

from collections.abc import Iterable

from arbench.report.labels import STATUS
from arbench.report.metrics import Metric
from arbench.results import Case

NAMED = 3
"""Most cases to name for a reason."""


def why_none(metric: Metric, case: Case) -> str:
    """Return in a few words why a case has no value of a metric."""
    if case.status != "ok":
        return STATUS[case.status]
    if metric.exact:
        return case.why_unknown or ("unknown" if case.backend else "from a suite without counters")
    return "without a finite time above 0"


def passed_over(found: Iterable[tuple[str, str]], most: int | None = NAMED) -> str | None:
    """Return one line that names what was passed over; None if nothing was.

    Args:
        found: pairs of a name and the reason.
        most: most names for one reason; None for all.
    """
    names: dict[str, list[str]] = {}
    for name, reason in found:
        names.setdefault(reason, []).append(name)
    if not names:
        return None
    return "Passed over: " + "; ".join(f"{len(some)} {reason} ({_some(some, most)})" for reason, some in names.items())


def _some(names: list[str], most: int | None) -> str:
    unique = list(dict.fromkeys(names))
    shown = unique[:most]
    more = f" and {len(unique) - len(shown)} more" if len(unique) > len(shown) else ""
    return ", ".join(shown) + more

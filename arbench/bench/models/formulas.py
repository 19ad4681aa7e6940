"""Depth and work that the author of a method states, for code whose operations cannot be counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from arbench.bench.case import CaseKey
from arbench.bench.options import PlanError
from arbench.methods import Method
from arbench.models import Source
from arbench.own.raised import one_line
from arbench.results import Count

FORMULAS = ("depth", "flops")
"""Counters that a method may state, by their fields in ``Method`` and ``Count``."""
MOST = 2**63
"""Bound of a depth and of a number of operations."""


def check_formulas(method: Method, source: Source, batch: int, n: int) -> None:
    """Check that the formulas of a method give numbers at a size. Raises PlanError."""
    for name in FORMULAS:
        formula = getattr(method, name)
        if formula is None:
            continue
        try:
            found = formula(n, batch, source)
        except Exception as error:  # code of the user may raise anything
            raise PlanError(f"method '{method.name}': its {name} fails at N = {n}: {one_line(error)}") from error
        least = 1 if name == "depth" else 0
        if type(found) is not int or not least <= found < MOST:
            raise PlanError(
                f"method '{method.name}': its {name} is {found!r:.40} at N = {n}; return a whole number from {least} on"
            )


def stated(method: Method, source: Source, cases: Iterable[CaseKey], counts: Iterable[Count]) -> Iterator[Count]:
    """Yield counts, with the formulas of a method where the counted value is unknown; a counted one is kept.

    Args:
        method: the method.
        source: the model.
        cases: the counted cases, which differ only in N.
        counts: their counts, and those of sizes of the counting ladder, to which no formula is applied.
    """
    known: Mapping[str, CaseKey] = {case.id: case for case in cases}
    for line in counts:
        case = known.get(line.case)
        if case is not None:
            for name in FORMULAS:
                formula = getattr(method, name)
                if formula is not None and getattr(line, name) is None:
                    setattr(line, name, formula(case.n, case.batch, source))
                    line.count_source = "formula"
        yield line

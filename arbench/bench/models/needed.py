"""Cases that nobody asked for and that verdicts need: they are counted, never timed and never shown.

An iterative method claims a bound: as many passes as there are groups of elements. That is judged from what one pass
costs and from how many groups there are, so the verdict needs counts of a method that makes one pass and of the method
that makes a pass for each group, whichever methods were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from arbench.bench.case import CaseKey
from arbench.methods import Method, methods_for
from arbench.models import Source

ONE_PASS = "parallel"
"""Name of the methods that evaluate the network once."""


def needed(source: Source, cases: Sequence[CaseKey]) -> list[CaseKey]:
    """Return the cases that verdicts on a model's cases need and that are not among them.

    Args:
        source: the model.
        cases: its cases, in one dtype on one device.
    """
    n = next((n for n in sorted(source.count_ladder) if _exists(source, n)), None)
    if n is None:
        return []
    found: dict[str, CaseKey] = {}
    for case in cases:
        if not any((claim or "").startswith("<=") for claim in (case.claimed_depth, case.claimed_work)):
            continue
        present = {(other.op, other.method) for other in cases if other.batch == case.batch}
        for method in methods_for(source):
            wanted = method.name == ONE_PASS or (method.reference and method.op == case.op)
            if wanted and (method.op, method.name) not in present:
                extra = _case(case, method, n)
                found[extra.id] = extra
    return sorted(found.values(), key=lambda case: (case.batch, case.op, case.method))


def _exists(source: Source, n: int) -> bool:
    try:
        source.schedule(n)
    except ValueError:
        return False
    return True


def _case(case: CaseKey, method: Method, n: int) -> CaseKey:
    return msgspec.structs.replace(
        case,
        op=method.op,
        method=method.name,
        n=n,
        exactness=method.exactness,
        claimed_depth=None,
        claimed_work=None,
        reference=method.reference,
        data_dependent=method.data_dependent,
        returning=method.returning,
    )

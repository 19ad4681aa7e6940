"""Correctness of a model: the answer that the verification of its cases gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from arbench.report.labels import listed
from arbench.report.models.verify.faults import Fault, faults
from arbench.report.models.verify.meanings import MEANINGS
from arbench.report.models.verify.passed import Checked, passed
from arbench.report.models.verify.unchecked import Unchecked, unchecked
from arbench.results import Case

AS_ABOVE = "as said above"
Outcome = Literal["right", "wrong", "failed"]
"""``failed``: nothing was found wrong, and a case raised an exception, hung, crashed or ran out of memory."""


class Correctness(msgspec.Struct):
    """The answer on one model, and what it rests on."""

    model: str
    """Specification of the model, as commands take it."""
    outcome: Outcome
    answer: str
    """One sentence without a full stop."""
    means: str
    """Meaning of the fault; empty where there is none."""
    look: str
    """Where to look for it."""
    checked: list[Checked]
    unchecked: list[Unchecked]
    todo: list[str]
    """Next steps, one line each."""
    verified: int
    """Number of cases that are right."""


def correctness(
    spec: str,
    rows: Sequence[Case],
    *,
    native: Sequence[str] = (),
    lacking: Sequence[tuple[str, str]] = (),
    asserting: bool = False,
    again: str = "",
    then: str = "",
) -> Correctness:
    """Return what the cases of a model show.

    Args:
        spec: specification of the model.
        rows: its cases, verified or not; at least one.
        native: methods in native code that were left out.
        lacking: methods that were asked for and that the model does not have, with the reason.
        asserting: whether a test of the user's asked, which has no options of a command.
        again: the command that checks once more; by default that of the model alone.
        then: the command that measures what is right; by default that of the model alone.
    """
    again, then = again or f"arbench verify --model {spec}", then or f"arbench run --model {spec}"
    found, right = faults(rows), [row for row in rows if row.status == "ok"]
    wrong = [fault for fault in found if not fault.failed]
    outcome: Outcome = "wrong" if wrong else "failed" if found or not right else "right"
    first = next(iter(wrong or found), None)
    if first is None:
        answer = _right(spec, right) if right else f"{spec} is not verified: no case was reached"
    else:
        answer = _wrong(spec, first, len(found) - 1)
    lines = [Checked(one.name, False, AS_ABOVE if one is first else one.text) for one in found]
    return Correctness(
        spec,
        outcome,
        answer,
        MEANINGS[first.check].means if first else "",
        first.look if first else "",
        [*lines, *passed(rows, found)],
        unchecked(rows, found, native, lacking, asserting),
        _todo(outcome, asserting, again, then),
        len(right),
    )


def exit_code(found: Sequence[Correctness]) -> int:
    """Return the exit code of a command: 0 all is right, 1 something is not, 3 nothing could be verified."""
    if any(one.outcome == "wrong" for one in found):
        return 1
    if not any(one.verified for one in found):
        return 3
    return 0 if all(one.outcome == "right" for one in found) else 1


def shapes(rows: Sequence[Case]) -> str:
    """Return ``N = 13 (2 events), 64 and 129, in float32 and float64``."""
    sizes: dict[int, set[int]] = {}
    for row in rows:
        sizes.setdefault(row.n, set()).add(row.batch)
    texts = []
    for n, batches in sorted(sizes.items()):
        events = "" if batches == {1} else f" ({listed(f'{batch:,}' for batch in sorted(batches))} events)"
        texts.append(f"{n:,}{events}")
    return f"N = {listed(texts)}, in {listed(dict.fromkeys(row.dtype for row in rows))}"


def _right(spec: str, rows: Sequence[Case]) -> str:
    """Return how many methods are right at which sizes, and which of them alone are at others."""
    at: dict[int, dict[tuple[str, str], None]] = {}
    for row in rows:
        at.setdefault(row.n, {})[row.op, row.method] = None
    most = max(map(len, at.values()))
    everywhere = [n for n, methods in at.items() if len(methods) == most]
    texts = [f"{most} method{'s' if most != 1 else ''} at {shapes([row for row in rows if row.n in everywhere])}"]
    alone: dict[str, list[Case]] = {}
    for row in (row for row in rows if row.n not in everywhere):
        alone.setdefault(listed(f"{op} {method}" for op, method in sorted(at[row.n])), []).append(row)
    texts += [f"{names} alone at {shapes(found)}" for names, found in alone.items()]
    return f"{spec} is right: {'; '.join(texts)}"


def _wrong(spec: str, fault: Fault, more: int) -> str:
    others = f"; {more} more below" if more else ""
    verb = {"timeout": "hangs", "crash": "crashes", "oom": "runs out of memory", "raises": "fails"}.get(fault.check)
    what = f"{fault.subject} of {spec}" if fault.subject else spec
    return f"{what} {verb or 'is WRONG'}: {fault.text}{others}"


def _todo(outcome: Outcome, asserting: bool, again: str, then: str) -> list[str]:
    if outcome == "right":
        return [] if asserting else [f"depth, work, memory and time: {then}"]
    return ["run the test again" if asserting else f"once it is mended: {again}"]

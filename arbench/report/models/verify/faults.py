"""Faults of a model and of its methods: cases that failed for one reason are one fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from arbench.report.labels import numbers
from arbench.report.models.sizes import alike
from arbench.report.models.verify.meanings import MEANINGS, rank
from arbench.results import Case

OF_METHODS = ("method", "raises", "timeout", "crash", "oom")
"""Checks of one method each; the others are of the model, and found whatever the method."""
FEW = 0.5
"""Share of changes below which a leak is one of some values alone."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        check: a key of ``MEANINGS``.
        text: what is wrong, on one line.
        subject: the methods at fault; empty where it is the model.
        facts: facts of the first case.
        rows: the cases that it stopped.
    """

    check: str
    text: str
    subject: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    rows: list[Case] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """True if nothing was found wrong: the case did not come to an end."""
        return self.check in ("raises", "timeout", "crash", "oom")

    @property
    def name(self) -> str:
        """The name of the check, or of the methods."""
        return self.subject or MEANINGS[self.check].name

    @property
    def look(self) -> str:
        """Where to look for it."""
        if self.check == "leaks" and self.facts.get("leak_share", 1.0) < FEW:
            return f"a branch or a row of a table that only some values reach; {MEANINGS[self.check].look}"
        return MEANINGS[self.check].look


def faults(rows: Sequence[Case]) -> list[Fault]:
    """Return the faults that cases show, the worst first."""
    found: dict[tuple[str, ...], Fault] = {}
    for row in sorted(rows, key=lambda row: (row.n, row.batch)):
        facts = row.verified or {}
        if row.status not in ("ok", "over_budget"):
            check, text = _check(row), str(row.error)
            of_model = check not in OF_METHODS or facts.get("check") == "model"
            key = (check,) if of_model else (check, alike(text))
        elif (name := next((one for one in ("extend", "rewind") if isinstance(facts.get(one), str)), None)) is not None:
            check, text, of_model = (
                facts.get(f"{name}_check", name),
                facts[name],
                True,
            )  # the method makes no call of it
            key = (check,)
        else:
            continue
        fault = found.setdefault(key, Fault(check, f"{text}{_leak(facts) if check == 'leaks' else ''}", "", facts))
        if row.status != "ok":
            fault.rows.append(row)
        if not of_model:
            fault.subject = methods_of(fault.rows)
    several = {(row.op, row.method) for row in rows}
    for fault in found.values():
        if fault.subject and len({(row.op, row.method) for row in fault.rows}) == len(several) > 1:
            fault.subject = ""
    return sorted(found.values(), key=lambda one: rank(one.check))


def _check(row: Case) -> str:
    """Return the check that a case fails."""
    if row.status in ("timeout", "oom"):
        return row.status
    check = (row.verified or {}).get("check", "method")
    if row.status == "error" and check not in ("extend", "rewind"):
        return "crash" if str(row.error).startswith("the worker ") else "raises"
    return check if check in MEANINGS else "method"


def methods_of(rows: Sequence[Case]) -> str:
    """Return ``score parallel; sample cached, blocks``: the methods of cases, each once."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row.op, [])
        if row.method not in names[row.op]:
            names[row.op].append(row.method)
    return "; ".join(f"{op} {', '.join(methods)}" for op, methods in names.items())


def _leak(facts: dict[str, Any]) -> str:
    """Return which element leaks, with which value, and how often."""
    share, count, at = facts.get("leak_share"), facts.get("leak_changes"), facts.get("leak_from")
    parts = []
    if at is not None and facts.get("leak_values") is not None:
        old, new = (f"{one}" if isinstance(one, int) else f"{one:.3g}" for one in facts["leak_values"])
        parts.append(f"element {at} alone does it, where it is {new} in place of {old}")
    if share is not None and count is not None:
        parts.append(f"{numbers([round(share * count)])} of {numbers([count])} changes leak")
    return f" ({'; '.join(parts)})" if parts else ""

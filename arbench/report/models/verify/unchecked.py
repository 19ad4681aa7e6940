"""Checks that were not made, and why: a fact that is unknown is never taken for a good one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from arbench.report.labels import listed
from arbench.report.models.verify.faults import OF_METHODS, Fault, methods_of
from arbench.report.models.verify.passed import ORDER
from arbench.results import Case

CALLS = {
    "extend": "they call extend, which is wrong",
    "several": "they call extend for several elements at once, which is wrong",
    "rewind": "they call rewind, which is wrong",
}
"""Why methods have no verdict of their own, by the part of the model that is wrong."""


class Unchecked(msgspec.Struct):
    """Something that was not checked."""

    what: str
    why: str
    todo: str = ""
    """Option that checks it; empty where nothing does."""


def unchecked(
    rows: Sequence[Case],
    found: Sequence[Fault],
    native: Sequence[str],
    lacking: Sequence[tuple[str, str]],
    asserting: bool,
) -> list[Unchecked]:
    """Return what was not checked; see ``correctness`` for the arguments."""
    options = _Words(asserting)
    lines = [*_not_reached(rows, found), *_spoiled(rows, found), *_left_out(rows), *_facts(rows, options)]
    lines += [Unchecked(name, why) for name, why in lacking]
    if native:
        why = "native code takes seconds to compile"
        lines.append(Unchecked(listed(dict.fromkeys(native)), why, options.value("method", *native)))
    return lines


class _Words:
    """The options of a command, or the arguments of a function."""

    def __init__(self, asserting: bool) -> None:
        self._asserting = asserting

    def value(self, name: str, *values: str | int) -> str:
        """Return how to give an option."""
        if self._asserting:
            return f"{name}{'s' if name == 'method' else ''}={values[0]!r}"
        return f"--{name} {','.join(map(str, values))}"


def _not_reached(rows: Sequence[Case], found: Sequence[Fault]) -> Iterator[Unchecked]:
    """Yield the checks behind the first one that fails of a model, where it leaves nothing to judge by."""
    model = [fault for fault in found if fault.check not in OF_METHODS or not fault.subject]
    if not model or any(row.status == "ok" for row in rows):
        return
    first = model[0]
    later = [name for name in ORDER[ORDER.index(first.check) + 1 :] if name != "inputs"] if first.check in ORDER else []
    names = [*later, "the law", "every method"]
    yield Unchecked(listed(names), "they are judged by what is wrong")


def _spoiled(rows: Sequence[Case], found: Sequence[Fault]) -> Iterator[Unchecked]:
    """Yield the methods without a verdict of their own, since they call what is wrong; some others have one."""
    right = {(row.op, row.method) for row in rows if row.status == "ok"}
    if not right:
        return
    for fault in (one for one in found if one.check not in OF_METHODS):
        names = methods_of([row for row in fault.rows if (row.op, row.method) not in right])
        half = next((facts["half"] for row in fault.rows if "half" in (facts := row.verified or {})), "")
        if half in ("extend", "several") and not any("rewind" in (row.verified or {}) for row in rows):
            names = f"rewind; {names}" if names else "rewind"
        if names:
            yield Unchecked(names, CALLS.get(half, "they are judged by what is wrong"))


def _of_wide(known: Sequence[dict[str, Any]]) -> Iterator[Unchecked]:
    """Yield what was not tried of the symbols of a wide alphabet, each of which takes one place of one event."""
    facts = max(known, key=lambda one: (one["symbols_tried"], one["symbols_stepped"]))
    levels, tried, stepped = (facts[f"symbols_{name}"] for name in ("levels", "tried", "stepped"))
    if tried < levels:
        why = f"{tried:,} of {levels:,} symbols were tried, each once, as far as the time went"
        yield Unchecked("a leak or a wrong step for other symbols", why)
    if stepped < tried:
        why = f"{stepped:,} of {tried:,} symbols were tried with all parameters, the others with some of them"
        yield Unchecked("what a symbol changes in few parameters", why)


def _left_out(rows: Sequence[Case]) -> Iterator[Unchecked]:
    places: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.status == "over_budget":
            places.setdefault(str(row.error), {})[f"N = {row.n:,} in {row.dtype}"] = None
    for why, which in places.items():
        yield Unchecked(listed(which), why)


def _facts(rows: Sequence[Case], options: _Words) -> Iterator[Unchecked]:
    known = [(row, row.verified) for row in rows if row.verified]
    probed = [(row, facts) for row, facts in known if "leak_probes" in facts]
    if probed:
        most = max(facts.get("leak_symbols") or 0 for _, facts in probed)
        levels = max(facts.get("leak_levels") or 0 for _, facts in probed)
        if wide := [facts for _, facts in probed if "symbols_tried" in facts]:
            yield from _of_wide(wide)
        elif most < levels:
            why = f"{most:,} of {levels:,} symbols were tried; more take too long"
            yield Unchecked("a leak for other symbols", why)
        row, facts = max(probed, key=lambda one: one[0].n)
        if spread := facts.get("leak_spread"):
            why = f"at N = {row.n:,} elements were changed from {spread} evenly spaced places on"
            yield Unchecked("a leak between these places alone", why)
        longest = facts.get("longest") or 4 * row.n
        if facts.get("reaches_back") and row.n < longest:
            why = f"at N = {row.n:,} the last parameters still change with the first element"
            yield Unchecked("longer events", why, options.value("n", min(4 * row.n, longest)))
    for what, why, todo in dict.fromkeys(tuple(one) for _, facts in known for one in facts.get("unchecked", ())):
        yield Unchecked(what, why, todo)
    if any("forward_against_extend" in facts and facts["forward_against_extend"] is None for _, facts in known):
        why = next((facts["why_not_against_extend"] for _, facts in known if "why_not_against_extend" in facts), "")
        yield Unchecked("forward against extend", why)
    if laws := [facts for _, facts in known if "law" in facts]:
        if laws[0]["law"] != "oracle":
            yield Unchecked("the law against a definition", "arbench does not know it, so it is judged by itself")
        if all(facts.get("law_sum") is None for facts in laws):
            yield Unchecked("the sum of the law's probabilities", "there are too many levels")
    alone = dict.fromkeys(f"{row.op} {row.method}" for row, facts in known if facts.get("recorded") is False)
    if alone:
        why = "they return draws, and not the parameters that they drew from"
        yield Unchecked(f"log-probabilities of {listed(alone)}", why)

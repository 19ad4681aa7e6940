"""Checks beyond the types of a line's fields: facts within facts, and fields that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from arbench.results.facts import TYPES
from arbench.results.schema import AnyLine
from arbench.results.schema.derived import Case, Fit, Ratio, Slowdown
from arbench.results.schema.line import Line
from arbench.results.schema.measured import Profile
from arbench.results.schema.run import Limits

DEEPEST = 32
"""Most levels of lists and objects within a fact."""

ROUNDING = 1e-6
"""Largest relative error of a sum of parts."""

_decoder = msgspec.json.Decoder(AnyLine)


def decoded(raw: bytes) -> AnyLine:
    """Return the line that was encoded, checked. Raises ValueError, or what msgspec and recursion raise."""
    line = _decoder.decode(raw)
    check(line)
    return line


def check(line: Line) -> None:
    """Raise ValueError, in one line, for facts of a wrong type or range, or fields that contradict each other."""
    for field, kind in TYPES.items():
        facts = getattr(line, field, None)
        if facts is None:
            continue
        if _too_deep(facts):
            raise ValueError(f"'{field}' has more than {DEEPEST} levels")
        try:
            msgspec.convert(facts, kind)
        except msgspec.ValidationError as error:
            raise ValueError(f"'{field}': {error}") from None
    for name, ends in _intervals(line):
        if ends is not None and ends[0] > ends[1]:
            raise ValueError(f"'{name}' ends before it begins")
    if isinstance(line, Fit):
        if len(line.sizes) != len(line.values):
            raise ValueError(f"{len(line.sizes)} 'sizes' but {len(line.values)} 'values'")
        if len(set(line.sizes)) != len(line.sizes):
            raise ValueError("'sizes' has one size twice")
    if isinstance(line, Profile):
        _check_parts(line)
    if isinstance(line, Limits):
        try:
            datetime.fromisoformat(line.measured_at).timestamp()
        except (ValueError, OverflowError):
            raise ValueError("'measured_at' is not a time") from None


def _check_parts(line: Profile) -> None:
    """Raise ValueError unless the parts of a profile add up to the whole."""
    divided = (line.fixed_s, line.slower_s, line.arithmetic_s, line.memory_s)
    known = [part for part in divided if part is not None]
    parts = [("'seconds'", line.seconds, line.outside_s + line.operators_s, True)]
    parts.append(("'operators_s'", line.operators_s, sum(known), len(known) == len(divided)))
    for name, whole, total, complete in parts:
        slack = ROUNDING * line.seconds
        if total > whole + slack or (complete and total < whole - slack):
            raise ValueError(f"the parts of {name}, {whole:.6g} s, are {total:.6g} s together")


def _intervals(line: Line) -> Iterator[tuple[str, tuple[float, float] | None]]:
    if isinstance(line, Case):
        yield from (("ci95_s", line.ci95_s), ("range_s", line.range_s))
    elif isinstance(line, Ratio | Slowdown):
        yield from (("ci95", line.ci95), ("range", line.range))
    elif isinstance(line, Fit):
        yield "exponent_ci95", line.exponent_ci95


def _too_deep(facts: Any) -> bool:
    level = [facts]
    for _ in range(DEEPEST):
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [value for one in inner for value in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return True

"""Environment, limits and command of a run, as text pairs for a page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from arbench.results import Run
from arbench.stats import format_si

Pairs = list[tuple[str, str]]


def environment(run: Run) -> Pairs:
    """Return the environment as dotted names and values, without unknown ones."""
    return as_pairs(run.environment)


def as_pairs(facts: Mapping[str, Any]) -> Pairs:
    """Return nested facts as dotted names and values in words, without unknown ones."""
    return list(_flat("", facts))


def limits(run: Run) -> Pairs:
    """Return the machine's measured limits in words, then any other entry beside them."""
    known = dict(run.limits)
    pairs: Pairs = []
    for kind in ("copy", "read"):
        for entry in known.pop(kind, None) or []:
            size = format_si(entry["bytes"], "B", (entry["bytes"], entry["bytes"]))
            pairs.append((f"{kind}, {size}", f"{entry['gb_per_s']:.3g} GB/s"))
    for dtype, rate in (known.pop("matmul", None) or {}).items():
        pairs.append((f"matrix product, {dtype}", f"{rate:.3g} GFLOP/s"))
    timer = known.pop("timer_s", None)
    if timer is not None:
        pairs.append(("one timed call adds", format_si(timer, "s")))
    return pairs + list(_flat("", known))


def command(run: Run) -> str:
    """Return the command line, quoted for a shell, without the path of the program."""
    words = list(run.argv)
    if words and PurePath(words[0]).stem in ("arbench", "__main__"):
        words = words[1:]
    return shlex.join(["arbench", *words])


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(value, list) and not any(isinstance(one, Mapping | list) for one in value):
        if value:
            yield prefix, ", ".join(map(_text, value))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _flat(f"{prefix}.{i}", inner)
    elif value is not None:
        yield prefix, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""Where the time of a call goes: each profile in three lines, and why one case takes longer than another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from arbench.border.printable import on_one_line
from arbench.report.labels import SharedSettings, model_label
from arbench.report.rates.roofs import roof_of
from arbench.report.table import order
from arbench.results import Case, Operator, Profile, Results
from arbench.stats.digits import format_ratio, format_si

SHOWN = 3
"""Operators that a profile names."""
OUTSIDE = {"python": "Python between operators", "idle": "GPU idle, waiting for its next kernel"}
PARTS = {
    "outside_s": "",
    "fixed_s": "fixed cost of operators",
    "slower_s": "operators slower than their limit",
    "arithmetic_s": "arithmetic",
    "memory_s": "memory",
}
"""The parts of a call's time, in words; ``OUTSIDE`` has those for the time outside operators."""
NOTE = (
    "The limit is what operators take at least for their bytes and the FLOPs of products, as measured on this machine; "
    "fixed cost is that of operators that have nothing to do. The profiler's own time is taken off."
)
OPENS = "gzipped Chrome traces of one call each; open them in ui.perfetto.dev or chrome://tracing"
_GRAPH = "## Call CompiledFxGraph "
"""Beginning of the name of a compiled graph, before a digest."""
_APART = 1.25
"""Ratio of the times of a call in two processes from which on both are given."""
_WORTH = 0.05
"""Least share of a difference that is named."""


@dataclass(frozen=True)
class Told:
    """A profile in words.

    Attributes:
        case: what was profiled, and how long a call and an element take.
        parts: where that time goes.
        operators: the operators with the most time.
        trace: the file of the trace, relative to the folder of the run; None if there is none.
        link: the same, relative to the report, for a page; None where the file is missing.
    """

    case: str
    parts: str
    operators: str
    trace: str | None
    link: str | None = None

    @property
    def lines(self) -> tuple[str, str, str]:
        """The three lines for a terminal."""
        return self.case, self.parts, self.operators + (f"; trace: {self.trace}" if self.trace else "")


def profiles(results: Results, beside: Path | None = None, folder: Path | None = None) -> list[Told]:
    """Return the profiles of a run in words, in the order of its table.

    Args:
        results: what was measured.
        beside: folder of the run, where links to the traces are wanted.
        folder: folder of the report that has the links.
    """
    found = []
    for case, line in _profiled(results):
        link = None
        if line.file is not None and beside is not None and folder is not None and (beside / line.file).exists():
            link = quote(os.path.relpath(beside / line.file, folder))
        found.append(Told(_case(case, line, results), _parts(case, line, results), _operators(line), line.file, link))
    return found


def differences(results: Results, of_methods: bool = True) -> list[str]:
    """Return why models differ in the time of the same method, and methods in the time of the same model, at one N.

    A model is compared with the fastest one of the same elements, a method with the fastest one of its model.

    Args:
        results: what was measured.
        of_methods: whether to compare methods too.
    """
    groups: dict[tuple[object, ...], list[tuple[Case, Profile]]] = {}
    for case, line in _profiled(results):
        where = (case.op, case.n, case.batch, case.device, case.dtype)
        if None in _seconds(line).values():
            continue
        groups.setdefault(("model", case.element, case.method, case.backend, *where), []).append((case, line))
        if of_methods:
            groups.setdefault(("method", case.model, case.preset, *where), []).append((case, line))
    shared = SharedSettings(results)
    found = []
    for key, group in groups.items():
        fastest = min(group, key=lambda one: one[1].seconds)
        for other in group:
            if other is not fastest:
                names = [
                    model_label(one) if key[0] == "model" else shared.method_label(one)
                    for one in (other[0], fastest[0])
                ]
                label = shared.method_label(other[0]) if key[0] == "model" else model_label(other[0])
                found.append(
                    f"{label}, {other[0].op} at N = {other[0].n:,}: {_difference(names, other[1], fastest[1])}"
                )
    return found


def _profiled(results: Results) -> Iterator[tuple[Case, Profile]]:
    for case in order(results.cases.values()):
        if (line := results.profiles.get(case.id)) is not None:
            yield case, line


def _seconds(line: Profile) -> dict[str, float | None]:
    """Return the parts of a call's time, by their fields."""
    outside = None if line.outside == "unseen" else line.outside_s
    divided = {name: getattr(line, name) for name in PARTS if name != "outside_s"}
    return {"outside_s": outside, **divided}


def _limit_s(case: Case, line: Profile, results: Results) -> float | None:
    """Return the least time of a call; of a native loop that which its weights and FLOPs need."""
    if line.arithmetic_s is not None and line.memory_s is not None:
        return line.arithmetic_s + line.memory_s
    top = roof_of(case, results)
    return None if top is None else top.limit_s


def _case(case: Case, line: Profile, results: Results) -> str:
    name = f"{model_label(case)} {case.op} {SharedSettings(results).method_label(case)}, N = {case.n:,}"
    elements = case.n * case.batch
    each = f"{format_si(line.seconds / elements, 's')} for each {on_one_line(case.element)}"
    text = f"{name}: a call takes {format_si(line.seconds, 's')}{_timed(case, line)}, {each}"
    limit_s = _limit_s(case, line, results)
    if not limit_s:
        return text
    return f"{text}, whose limit is {format_si(limit_s / elements, 's')}"


def _timed(case: Case, line: Profile) -> str:
    """Return the time of the run, in parentheses, where that of the profile differs from it."""
    timed_s = case.median_s or line.seconds
    apart = max(timed_s / line.seconds, line.seconds / timed_s)
    return f" ({format_si(timed_s, 's')} when it was timed)" if apart > _APART else ""


def _parts(case: Case, line: Profile, results: Results) -> str:
    known = _seconds(line)
    words = [
        f"{_percent(seconds / line.seconds)} {_named(name, line)}"
        for name, seconds in known.items()
        if seconds is not None
    ]
    if known["outside_s"] is None:
        why = f" ({on_one_line(line.unseen)})" if line.unseen else ""
        words.insert(0, f"{_percent(line.outside_s / line.seconds)} Python or code that no trace shows{why}")
    if known["arithmetic_s"] is None:
        words.append(f"{_percent(line.operators_s / line.seconds)} operators, not divided")
    text = ", ".join(words)
    if line.why_unknown is not None and line.why_unknown != line.unseen:
        text += f" ({on_one_line(line.why_unknown)})"
    return text


def _named(part: str, line: Profile) -> str:
    return f"fixed cost of {line.operators:,} operators" if part == "fixed_s" else _plain(part, line)


def _plain(part: str, line: Profile) -> str:
    return OUTSIDE[line.outside] if part == "outside_s" else PARTS[part]


def _operators(line: Profile) -> str:
    most = "most time in " + ", ".join(_operator(one, line) for one in line.most[:SHOWN])
    longer = format_ratio(line.profiled_s / line.seconds)
    return f"{most if line.most else 'no operator takes any time'}; with the profiler {longer} as long"


def _operator(one: Operator, line: Profile) -> str:
    calls = max(one.calls, 1)
    each = f"{one.calls:,} x {format_si(one.seconds / calls, 's')}" if one.calls > 1 else format_si(one.seconds, "s")
    limit = "" if one.limit_s is None else f", limit {format_si(one.limit_s / calls, 's')}"
    return f"{_short(one.name)} {_percent(one.seconds / line.seconds)} ({each}{limit})"


def _short(name: str) -> str:
    return "compiled graph" if name.startswith(_GRAPH) else on_one_line(name.removeprefix("aten::"))


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


def _difference(names: Iterable[str], slow: Profile, fast: Profile) -> str:
    """Return by how much one takes longer, and which parts of its time that is."""
    slower, faster = names
    more_s = slow.seconds - fast.seconds
    each = _seconds(slow)
    by = {name: (seconds or 0.0) - (_seconds(fast)[name] or 0.0) for name, seconds in each.items()}
    named = sorted((name for name in by if abs(by[name]) >= _WORTH * more_s), key=lambda name: -by[name])
    parts = [f"{_signed(by[name])} {_plain(name, slow)}" for name in named]
    counts = f"{slow.operators:,} calls of operators against {fast.operators:,}"
    ratio = format_ratio(slow.seconds / fast.seconds)
    return f"{slower} takes {ratio} as long as {faster} ({_signed(more_s)} a call): {', '.join(parts)}; {counts}"


def _signed(seconds: float) -> str:
    return ("+" if seconds >= 0 else "-") + format_si(abs(seconds), "s")

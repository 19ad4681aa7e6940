"""Renderings of a check's findings: lines for a terminal, a Markdown summary, JUnit XML."""

from __future__ import annotations

import math
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

from arbench.border.printable import printable
from arbench.findings import Check, Finding, Outcome
from arbench.report.facts import as_pairs
from arbench.report.markdown import escape

MARKS: dict[Outcome, str] = {
    "regression": "✗",
    "undecided": "?",
    "improvement": "✓",
    "added": "+",
    "removed": "-",
    "unmeasured": "?",
    "same": "=",
}
"""Mark of each outcome, in the order of display. ``same`` is displayed only for times with an interval."""

_WORDS: dict[Outcome, tuple[str, str]] = {
    "regression": ("regression", "regressions"),
    "undecided": ("undecided", "undecided"),
    "improvement": ("improvement", "improvements"),
    "added": ("added", "added"),
    "removed": ("removed", "removed"),
    "unmeasured": ("not measured", "not measured"),
    "same": ("unchanged", "unchanged"),
}


def verdict(check: Check) -> str:
    """Return the verdict, always with regressions or their absence: ``1 regression, 2 improvements, 37 unchanged``."""
    counts = {outcome: len(check.of(outcome)) for outcome in _WORDS}
    parts = [f"{n} {_WORDS[outcome][n > 1]}" for outcome, n in counts.items() if n]
    if not counts["regression"]:
        compared = counts["same"] + counts["improvement"] + counts["undecided"]
        parts.insert(0, "no regression" if compared else "nothing could be compared")
    return ", ".join(parts)


def lines(check: Check, width: int) -> list[str]:
    """Return lines for a terminal: changes, worst first, then the verdict, which counts unchanged cases.

    Args:
        check: the findings.
        width: characters of a line; only the id of a case may be longer.
    """
    found: list[str] = []
    for finding in _shown(check):
        found += _wrapped(f"  {MARKS[finding.outcome]} ", finding.text, width)
        found.append(f"    {_plain(': '.join(filter(None, (finding.case, measured(finding)))))}")
    for note in [*check.notes, *_versions(check)]:
        found += _wrapped("  ", note, width)
    if found:
        found.append("")
    return [*found, *_wrapped("", f"{check.after} against {check.before}: {verdict(check)}", width)]


def measured(finding: Finding) -> str:
    """Return the numbers of a finding: ``1.8% slower [1.5, 2.2], threshold 0.3%``, or ``ops 63 before, 84 now``."""
    if finding.metric == "seconds" and finding.change is not None:
        threshold = "" if finding.threshold is None else f", threshold {100 * finding.threshold:g}%"
        return _slower(finding.change, finding.interval) + threshold
    if finding.before is None and finding.after is None:
        return ""
    before, after = (_value(value) for value in (finding.before, finding.after))
    threshold = f", threshold {100 * finding.threshold:g}%" if finding.threshold else ""
    return f"{finding.metric} {before} before, {after} now{threshold}"


def markdown(check: Check) -> str:
    """Return the summary of a CI job in Markdown: the verdict, a table of changes, the rest folded."""
    shown = _shown(check)
    parts = [f"### arbench check: {escape(verdict(check))}", ""]
    parts += [f"{escape(check.after)} against {escape(check.before)}", ""]
    if shown:
        parts += ["| | finding | measured | case |", "|---|---|---|---|"]
        parts += [
            f"| {escape(MARKS[f.outcome])} {_WORDS[f.outcome][0]} | {escape(f.text)} "
            f"| {escape(measured(f))} | {escape(f.case)} |"
            for f in shown
        ]
        parts.append("")
    notes = [*check.notes, *_versions(check)]
    parts += [f"- {escape(note)}" for note in notes]
    if notes:
        parts.append("")
    return "\n".join([*parts, *_folded(check), ""])


def junit(check: Check) -> str:
    """Return JUnit XML: one testcase for each finding, a failure if it is a regression.

    Undecided and unmeasured findings, and cases that only one side has, are skipped testcases.
    """
    failed = len(check.of("regression"))
    skipped = check.of("undecided", "unmeasured", "added", "removed")
    totals = {
        "tests": str(len(check.findings)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(len(skipped)),
        "time": f"{check.seconds:.3f}",
    }
    root = ET.Element("testsuites", totals)
    suite = ET.SubElement(root, "testsuite", {"name": "arbench check", **totals})
    facts = [("before", check.before), ("after", check.after), *as_pairs(check.environment)]
    properties = ET.SubElement(suite, "properties")
    for name, value in facts:
        ET.SubElement(properties, "property", {"name": printable(name), "value": printable(value)})
    for finding in check.findings:
        _testcase(suite, finding)
    if notes := [*check.notes, *_versions(check)]:
        ET.SubElement(suite, "system-out").text = printable("\n".join(notes))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _versions(check: Check) -> list[str]:
    """Return a line for each version whose times were compared."""
    return [
        f"{which} version: {one.label}, {f'commit {one.commit[:12]}, ' if one.commit else ''}sources {one.sources}, "
        f"in {one.path}"
        for which, one in zip(("old", "new"), check.versions, strict=False)
    ]


def _testcase(suite: ET.Element, finding: Finding) -> None:
    classname = ".".join(filter(None, (finding.gate, finding.model)))
    name = f"{finding.case} {finding.metric}"
    case = ET.SubElement(suite, "testcase", {"classname": printable(classname), "name": printable(name)})
    message = {"message": printable(finding.text)}
    detail = printable(measured(finding))
    if finding.outcome == "regression":
        ET.SubElement(case, "failure", {**message, "type": printable(finding.metric)}).text = detail
    elif finding.outcome in ("same", "improvement"):
        ET.SubElement(case, "system-out").text = printable("\n".join(filter(None, (finding.text, detail))))
    else:
        ET.SubElement(case, "skipped", message).text = detail


def _shown(check: Check) -> list[Finding]:
    found = [finding for outcome in MARKS for finding in check.of(outcome)]
    return [finding for finding in found if finding.outcome != "same" or finding.metric == "seconds"]


def _folded(check: Check) -> Iterator[str]:
    unchanged: dict[str, list[str]] = {}
    rest = [finding for finding in check.of("same") if finding.metric != "seconds"]
    for finding in rest:
        unchanged.setdefault(finding.case, []).append(finding.metric)
    if unchanged:
        items = (f"- {escape(case)}: {escape(', '.join(metrics))}" for case, metrics in unchanged.items())
        yield from _details(f"{len(rest)} unchanged", items)
    if facts := as_pairs(check.environment):
        yield from _details("environment", (f"- {escape(name)}: {escape(value)}" for name, value in facts))


def _details(title: str, items: Iterable[str]) -> Iterator[str]:
    yield from (f"<details><summary>{title}</summary>", "", *items, "", "</details>")


def _slower(change: float, interval: tuple[float, float] | None) -> str:
    """Return ``1.8% slower [1.5, 2.2]`` or ``4.0% faster [3.1, 5.2]``, with the digits that the interval supports."""
    percent = 100 * abs(change)
    ends = None
    if interval is not None and all(map(math.isfinite, interval)):
        ends = sorted(100 * math.copysign(1, change) * end for end in interval)
    half = (ends[1] - ends[0]) / 2 if ends else percent / 10
    digits = min(2, max(0, -math.floor(math.log10(half)))) if half > 0 else 2
    text = f"{percent:.{digits}f}%"
    if float(text[:-1]):
        text += " slower" if change > 0 else " faster"
    if ends is None:
        return text
    scale = 10**digits
    low, high = math.floor(ends[0] * scale + 1e-9) / scale, math.ceil(ends[1] * scale - 1e-9) / scale
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _value(value: float | str | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value


def _wrapped(mark: str, text: str, width: int) -> list[str]:
    """Return a text wrapped into lines: the first begins with ``mark``, the rest are indented as far."""
    return textwrap.wrap(
        _plain(text),
        max(width, 40),
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [mark.rstrip()]


def _plain(text: str) -> str:
    """Return a text on one line, without control characters of a terminal."""
    return " ".join(printable(text).split())

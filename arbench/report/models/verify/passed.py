"""The checks that a model and its methods passed, with what was tried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from arbench.report.labels import listed
from arbench.report.models.verify.faults import Fault
from arbench.results import Case

ORDER = ("forward", "finite", "precision", "repeatable", "rows", "leaks", "inputs", "conditioning", "extend", "rewind")
"""The checks of a model, in the order in which they are made: the first that fails is the last that was made."""


class Checked(msgspec.Struct):
    """A check that was made."""

    name: str
    """The check, or the methods."""
    right: bool
    text: str
    """Result, on one line."""


def passed(rows: Sequence[Case], found: Sequence[Fault]) -> list[Checked]:
    """Return the checks that were passed.

    Args:
        rows: the cases of a model.
        found: its faults.
    """
    facts = [row.verified for row in rows if row.verified]
    failed = {fault.check for fault in found}
    stopped = min((ORDER.index(check) for check in failed if check in ORDER), default=len(ORDER))
    probed = [one for one in facts if "leak_probes" in one]
    lines = []
    if stopped > ORDER.index("repeatable") and (probed or stopped < len(ORDER)):
        dtypes = listed(dict.fromkeys(row.dtype for row in rows if row.verified and "leak_probes" in row.verified))
        where = f" ({dtypes})" if dtypes else ""
        lines.append(Checked("forward", True, f"finite, and the same bits when it is called again{where}"))
    if "rows" not in failed and (probed or ORDER.index("rows") < stopped < len(ORDER)):
        lines.append(Checked("rows", True, "an event has the same parameters alone and beside others"))
    if probed and "leaks" not in failed:  # a size at which it passed proves nothing then
        lines.append(Checked("leaks", True, _layers(probed) if "layers" in probed[0] else _leaks(probed)))
    if probed and "inputs" not in failed and "layers" not in probed[0]:
        lines.append(Checked("inputs", True, _inputs(probed)))
    if "extend" in failed:
        facts = [{name: one[name] for name in one if name not in ("forward_against_extend", "rewind")} for one in facts]
    if apart := [one["forward_against_extend"] for one in facts if one.get("forward_against_extend") is not None]:
        text = f"single steps and calls over several elements give forward's parameters within {max(apart):.1e}"
        lines.append(Checked("extend", True, f"{text}, in float64"))
    if back := [one["rewind"] for one in facts if isinstance(one.get("rewind"), float)]:
        text = "once guesses are taken back, parameters are as if they had never been made"
        lines.append(Checked("rewind", True, f"{text}: within {max(back):.1e}"))
    if laws := [one for one in facts if "law" in one and "law" not in failed]:
        lines.append(Checked("law", True, _law(laws)))
    if noise := [one["noise_tested"] for one in facts if "noise_tested" in one and "noise" not in failed]:
        lines.append(
            Checked(
                "noise",
                True,
                f"{max(noise):,} values are of the law's distribution; none repeats or mirrors others, or correlates",
            )
        )
    return lines + _methods([row for row in rows if row.status == "ok"])


def _leaks(facts: Sequence[dict[str, Any]]) -> str:
    most = max(facts, key=lambda one: (one.get("leak_symbols") or 0, one["leak_changes"]))
    every = any(one.get("leak_swept") for one in facts)
    symbols = ""
    if (levels := most.get("leak_levels")) is not None:
        symbols = f", in which an element takes {most['leak_symbols']:,} of {levels:,} symbols"
    if tried := max((one.get("symbols_tried") or 0 for one in facts), default=0):
        symbols += f", and {tried:,} at some place"
    places = f"from {most['leak_probes']} places on"
    return (
        f"no parameter changes with its own element or later ones: {most['leak_changes']:,} changes {places}{symbols}"
        f"{', and one from every place on' if every else ''}"
    )


def _layers(facts: Sequence[dict[str, Any]]) -> str:
    most = max(facts, key=lambda one: one["leak_probes"])
    return (
        f"in no layer of {most['layers']} the map of an element changes with itself or what comes later in its order: "
        f"{most['leak_changes']} changes from each of {most['leak_probes']:,} places on, and {most['jacobian_rows']:,} "
        "rows of autograd's Jacobian"
    )


def _inputs(facts: Sequence[dict[str, Any]]) -> str:
    names = sorted({name for one in facts for name in one.get("conditioning", ())})
    and_so = f", and all of them with the conditioning {listed(names)}" if names else ""
    return f"later parameters change with earlier elements{and_so}"


def _law(facts: Sequence[dict[str, Any]]) -> str:
    sums = [one["law_sum"] for one in facts if one.get("law_sum") is not None]
    whole = f"sums to one within {max(sums):.1e}" if sums else ""
    if facts[0]["law"] != "oracle":
        chances = [one["law_draws"] for one in facts if one.get("law_draws") is not None]
        return f"{whole or 'judged by itself'}{', and its draws have its probabilities' if chances else ''}"
    tried = max(one.get("law_tried", 0) for one in facts)
    drawn = max(one.get("law_drawn", 0) for one in facts)
    draws = f" and {drawn:,} draws" if drawn else ""
    return f"{whole}{'; ' if whole else ''}{tried:,} log-probabilities{draws} are those of its definition in float64"


def _methods(rows: Sequence[Case]) -> list[Checked]:
    """Return one line for the methods that were judged in the same way."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for row in rows:
        groups.setdefault((row.op, _kind(row)), []).append(row)
    return [
        Checked(f"{op} {', '.join(dict.fromkeys(row.method for row in found))}", True, _judged(kind, found))
        for (op, kind), found in groups.items()
    ]


def _kind(row: Case) -> str:
    facts = row.verified or {}
    if row.op == "score":
        return "score"
    if row.exactness != "pointwise":
        return "law"
    return "alone" if facts.get("recorded") is False else "draws"


def _judged(kind: str, rows: Sequence[Case]) -> str:
    near = _largest(rows, "largest_difference")
    count = sum(row.n * row.batch for row in {(row.n, row.batch, row.dtype): row for row in rows}.values())
    if kind == "score":
        return f"log-probabilities of {count:,} elements are those of forward within {near:.1e}"
    if kind == "law":
        return f"{count:,} elements follow forward's law, and the method's own rule under the same noise"
    if kind == "alone":
        drawn = int(sum((row.verified or {}).get("elements", 0) for row in rows))
        return f"{drawn:,} elements are those that forward draws from the same noise"
    ties = int(sum((row.verified or {}).get("excused_ties", 0) for row in rows))
    excused = f", {ties} apart at near ties" if ties else ""
    same = f"{count:,} elements are those that forward draws from the same noise{excused}"
    return f"{same}; log-probabilities within {near:.1e}"


def _largest(rows: Iterable[Case], name: str) -> float:
    return max(((row.verified or {}).get(name) or 0.0 for row in rows), default=0.0)

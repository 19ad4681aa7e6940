"""Exit codes of a run: what was measured, what is wrong, what was missed."""

from __future__ import annotations

from typing import Any

import pytest

from arbench.cli.outcome import outcome
from arbench.results import Case, Fit, Results, Run

KEYS: dict[str, Any] = dict(model="m", preset="", op="score", backend="eager", device="cpu", dtype="float32", batch=1)


def run(*statuses: Any, verdicts: tuple[Any, ...] = (), claimed: str | None = "1") -> Results:
    results = Results(Run(1, "r", "", [], 0, None, {}, {}, {}))
    facts: dict[str, Any] = dict(n=8, element="", weights=1, exactness="pointwise")
    for number, status in enumerate(statuses):
        results.add(Case(**KEYS, method=f"a{number}", id=str(number), status=status, **facts))
    numbers: dict[str, Any] = dict.fromkeys(("intercept", "slope", "exponent", "exponent_ci95", "residual"))
    numbers |= dict(sizes=[], values=[], metric="depth", claimed=claimed, fitted="N", why="")
    for number, verdict in enumerate(verdicts):
        results.add(Fit(**KEYS, method=f"a{number}", verdict=verdict, **numbers))
    return results


CASES: list[tuple[Results, int, int, str]] = [
    (run("ok", "ok"), 0, 0, ""),
    (run("ok", "over_budget", verdicts=("holds", "undecided")), 0, 0, ""),
    (run("checked"), 0, 0, ""),
    (run("ok", "inexact"), 1, 1, "1 case inexact"),
    (run("inexact", "inexact", "timeout"), 1, 1, "2 cases inexact, 1 case timed out"),
    (run("ok", verdicts=("fails", "fails", "holds")), 1, 1, "2 claims fail"),
    (run("ok", verdicts=("fails",), claimed=None), 0, 0, ""),
    (run(), 3, 3, "nothing was measured: no case was reached"),
    (run("error", "oom"), 3, 3, "nothing was measured: 1 case failed, 1 case ran out of memory"),
    (
        run("over_budget"),
        3,
        3,
        "nothing was measured: 1 case over budget; give a larger --budget or smaller sizes",
    ),
    (run("ok", "error", "error"), 0, 1, "2 cases failed"),
    (run("ok", "oom", "over_budget"), 0, 1, "1 case ran out of memory"),
    (run("checked", "timeout"), 0, 1, "1 case timed out"),
]


@pytest.mark.parametrize(("results", "code", "strict", "said"), CASES)
def test_the_exit_code_says_what_happened(results, code, strict, said):
    got, why = outcome(results, strict=False)
    assert got == code
    assert why.startswith(said)
    assert bool(why) == bool(said)
    assert outcome(results, strict=True)[0] == strict
    assert ("with --strict the exit code is 1" in why) == (code != strict)

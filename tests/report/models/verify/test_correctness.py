"""The answer on a model, what was checked and what was not, and the exit code follow from its rows."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from arbench.report.models.verify import Correctness, correctness, exit_code, lines
from arbench.report.models.verify.meanings import MEANINGS
from arbench.report.models.verify.passed import ORDER
from arbench.results import Case, Status

PROBED = {
    "leak_probes": 5,
    "leak_changes": 16,
    "leak_swept": 13,
    "leak_symbols": 16,
    "leak_levels": 16,
    "reaches_back": False,
    "forward_against_extend": 1e-15,
    "rewind": 1e-15,
    "largest_difference": 2e-7,
    "law": "oracle",
    "law_sum": 1e-7,
    "law_tried": 100,
    "noise_tested": 3000,
}


def row(
    method: str = "parallel", status: Status = "ok", error: str | None = None, n: int = 13, batch: int = 1, **facts: Any
) -> Case:
    op: Literal["score", "sample"] = "score" if method == "parallel" else "sample"
    return Case(
        id=f"{op}/{method}/{n}/{batch}",
        model="m.Mine",
        preset="tiny",
        op=op,
        method=method,
        backend="eager",
        device="cpu",
        dtype="float32",
        batch=batch,
        n=n,
        element="symbol",
        weights=10,
        status=status,
        exactness="pointwise",
        error=error,
        verified={**PROBED, **facts} if status == "ok" else facts or None,
    )


def judged(*rows: Case, **more: Any) -> Correctness:
    return correctness("m.py:Mine", rows, **more)


def test_what_is_right() -> None:
    found = judged(row(batch=2), row(n=64), row("cached", batch=2), row("cached", n=64))
    assert found.answer == "m.py:Mine is right: 2 methods at N = 13 (2 events) and 64, in float32"
    assert (found.outcome, found.means, found.look, found.unchecked) == ("right", "", "", [])
    assert lines(found, 100, 1.26)[0] == f"{found.answer}, in 1.3 s"
    assert exit_code([found]) == 0


def test_a_size_at_which_few_methods_were_checked_names_them() -> None:
    found = judged(row(batch=2), row("cached", batch=2), row("generate", batch=2), row(n=128), row("cached", n=128))
    few = "sample cached and score parallel alone at N = 128, in float32"
    assert found.answer == f"m.py:Mine is right: 3 methods at N = 13 (2 events), in float32; {few}"


CASES: list[tuple[list[Case], str, int, str]] = [
    ([row(), row("cached", "inexact", "off", check="method")], "wrong", 1, "sample cached of m.py:Mine is WRONG: off"),
    ([row("parallel", "inexact", "leaks", check="leaks")], "wrong", 1, "m.py:Mine is WRONG: leaks"),
    ([row(), row("cached", "error", "E: a (m.py:3)")], "failed", 1, "sample cached of m.py:Mine fails: E: a (m.py:3)"),
    ([row("parallel", "error", "E: a (m.py:3)")], "failed", 3, "score parallel of m.py:Mine fails: E: a (m.py:3)"),
    (
        [row("parallel", "error", "E: position 12 (m.py:3)"), row("cached", "error", "E: position 63 (m.py:3)", 64)],
        "failed",
        3,
        "m.py:Mine fails: E: position 12 (m.py:3)",
    ),
    ([row("parallel", "timeout", "no response for 8 s", check="model")], "failed", 3, "m.py:Mine hangs: no response"),
    ([row("parallel", "oom", "none")], "failed", 3, "score parallel of m.py:Mine runs out of memory: none"),
    (
        [row(), row("cached", "error", "the worker was killed by SIGSEGV", check="method")],
        "failed",
        1,
        "sample cached of m.py:Mine crashes: the worker was killed by SIGSEGV",
    ),
    ([row(extend="off", extend_check="extend")], "wrong", 1, "m.py:Mine is WRONG: off"),
    (
        [
            row(extend="off"),
            row("cached", "inexact", "off", check="extend"),
            row("own", "inexact", "x", check="method"),
        ],
        "wrong",
        1,
        "m.py:Mine is WRONG: off; 1 more below",
    ),
    ([row("parallel", "over_budget", "left out")], "failed", 3, "m.py:Mine is not verified: no case was reached"),
]


@pytest.mark.parametrize(("rows", "outcome", "code", "answer"), CASES)
def test_what_is_wrong(rows: list[Case], outcome: str, code: int, answer: str) -> None:
    found = judged(*rows)
    assert found.answer.startswith(answer)
    assert (found.outcome, exit_code([found])) == (outcome, code)
    assert exit_code([found, judged(row())]) == 1


def test_a_model_that_is_wrong_passes_the_checks_before() -> None:
    found = judged(row("parallel", "inexact", "mixed", check="leaks"))
    assert [(one.name, one.right) for one in found.checked] == [("leaks", False), ("forward", True), ("rows", True)]
    assert found.checked[0].text == "as said above"
    assert found.unchecked[0].what == "conditioning, extend, rewind, the law and every method"
    assert [one.name for one in judged(row("parallel", "inexact", "mixed", check="finite")).checked] == ["finite"]


SPOILED = [
    ("extend", "rewind; sample cached, blocks", "they call extend, which is wrong"),
    ("several", "rewind; sample cached, blocks", "they call extend for several elements at once, which is wrong"),
]


@pytest.mark.parametrize(("half", "what", "why"), SPOILED)
def test_methods_that_call_what_is_wrong_are_not_checked(half: str, what: str, why: str) -> None:
    right = row(extend="off")
    assert right.verified is not None
    del right.verified["rewind"]
    wrong = [row(name, "inexact", "off", check="extend", half=half) for name in ("cached", "blocks")]
    assert [(one.what, one.why) for one in judged(right, *wrong).unchecked] == [(what, why)]


def test_methods_that_call_a_wrong_rewind_are_not_checked() -> None:
    found = judged(row(rewind="off"), row("blocks", "inexact", "off", check="rewind", half="rewind"))
    assert [(one.what, one.why) for one in found.unchecked] == [("sample blocks", "they call rewind, which is wrong")]


UNKNOWN: list[tuple[dict[str, Any], str, str, str]] = [
    ({"leak_symbols": 4}, "a leak for other symbols", "4 of 16 symbols were tried; more take too long", ""),
    (
        {"symbols_levels": 5000, "symbols_tried": 900, "symbols_stepped": 900, "leak_symbols": 2, "leak_levels": 5000},
        "a leak or a wrong step for other symbols",
        "900 of 5,000 symbols were tried, each once",
        "",
    ),
    (
        {"symbols_levels": 5000, "symbols_tried": 5000, "symbols_stepped": 192, "leak_symbols": 2, "leak_levels": 5000},
        "what a symbol changes in few parameters",
        "192 of 5,000 symbols were tried with all parameters",
        "",
    ),
    ({"leak_spread": 64}, "a leak between these places alone", "at N = 13 elements were changed from 64 evenly", ""),
    ({"reaches_back": True}, "longer events", "at N = 13 the last parameters still change with", "--n 52"),
    ({"reaches_back": True, "longest": 20}, "longer events", "at N = 13 the last parameters still", "--n 20"),
    (
        {"forward_against_extend": None, "why_not_against_extend": "there is no step"},
        "forward against extend",
        "there is no step",
        "",
    ),
    ({"unchecked": [["whose law", "taken for i", "shift=0"]]}, "whose law", "taken for i", "shift=0"),
    ({"law": "self-consistent"}, "the law against a definition", "arbench does not know it", ""),
    ({"law_sum": None}, "the sum of the law's probabilities", "there are too many levels", ""),
    ({"recorded": False}, "log-probabilities of score parallel", "they return draws", ""),
]


@pytest.mark.parametrize(("facts", "what", "why", "todo"), UNKNOWN)
def test_an_unknown_fact_is_said(facts: dict[str, Any], what: str, why: str, todo: str) -> None:
    (found,) = judged(row(**facts)).unchecked
    assert found.what == what
    assert found.why.startswith(why)
    assert found.todo == todo


def test_what_was_left_out_is_said() -> None:
    found = judged(row(), row("cached", "over_budget", "left out, since", 129), native=["fused"], lacking=[("a", "b")])
    assert [(one.what, one.why, one.todo) for one in found.unchecked] == [
        ("N = 129 in float32", "left out, since", ""),
        ("a", "b", ""),
        ("fused", "native code takes seconds to compile", "--method fused"),
    ]
    assert judged(row(), native=["fused"], asserting=True).unchecked[0].todo == "methods='fused'"


def test_every_check_of_a_model_has_a_meaning() -> None:
    assert set(ORDER) <= set(MEANINGS)
    for meaning in MEANINGS.values():
        assert all(text and not text.endswith(".") for text in meaning)

"""Which methods a fault of the model is charged to: those that use the half which is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from arbench.bench.case import CaseKey
from arbench.bench.job import Job
from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, make_plan
from arbench.results import Verification

FORWARD = {"parallel", "naive", "fixed_point"}
SINGLE = {"sequential", "cached"}
STEP = "extend(state, f, 1, 2), with the state that its first step returned"
UNTOLD = "which of the two is wrong cannot be told, and no method is verified"
SEVERAL = (
    "extend is wrong over several elements at once (in one call for elements 1 to 7, from element {} on), and right"
)
BROKEN = {
    "Sound": ("ok", "", FORWARD | SINGLE | {"blocks", "forecast"}),
    "Stale": (
        "inexact",
        "extend is right over all elements at once, but wrong step by step: look at the state it returns, which is "
        "still that of start",
        FORWARD,
    ),
    "Losing": (
        "inexact",
        "extend is right over all elements at once, but wrong step by step: look at the state it returns, which "
        "is None",
        FORWARD,
    ),
    "Shifted": (
        "inexact",
        "extend is right over all elements at once, but wrong step by step: for element 2 it reads element 0 in place "
        "of element 1; look at the state it returns, and at the place in it",
        FORWARD,
    ),
    "Cramped": (
        "inexact",
        "for element 2 it reads element 0 in place of element 1; look at the state it returns, and at the place in it",
        FORWARD,
    ),
    "Peeking": (
        "inexact",
        "extend is wrong, since its parameters change with elements that come after them: it may read those before "
        "g1 - 1 only",
        FORWARD,
    ),
    "Undefined": ("inexact", "extend is wrong, since it returns parameters that are not finite", FORWARD),
    "Drawing": (
        "inexact",
        "extend is wrong, since it returns others when it is called again: it must draw nothing itself, and start "
        "must make a new state",
        FORWARD,
    ),
    "Torn": (
        "inexact",
        "extend is wrong, since single steps and all elements at once differ from each other too",
        FORWARD,
    ),
    "Looping": (
        "inexact",
        f"{SEVERAL.format(2)} in single steps: it does not read element 1; in its loop, read the element before g, "
        "not the one before g0",
        FORWARD | SINGLE,
    ),
    "Unmasked": (
        "inexact",
        f"{SEVERAL.format(1)} in single steps: look at its positions and masks where g1 - g0 is more than 1",
        FORWARD | SINGLE,
    ),
    "Ahead": (
        "inexact",
        f"{SEVERAL.format(2)} in single steps: it reads later elements of the same call; look at its mask",
        FORWARD | SINGLE,
    ),
    "Behind": (
        "inexact",
        "extend is wrong over several elements at once (in one call for elements 8 to 15, from element 8 on), and "
        "right in single steps: look at the state that such a call returns",
        FORWARD | SINGLE,
    ),
    "Same": (
        "inexact",
        f"extend returns the same step by step and over all elements at once, so {UNTOLD}",
        set(),
    ),
    "Calling": ("inexact", f"forward calls extend, so {UNTOLD}", set()),
    "Leaking": ("inexact", "forward leaks: ", set()),
    "Raising": ("error", f"extend failed at its second step, {STEP}: ValueError: no (bigrams.py:", FORWARD),
    "Unborn": ("error", "start failed: ValueError: no (bigrams.py:", FORWARD),
    "Single": (
        "error",
        "single steps are right, but extend failed over several elements at once, in extend(state, f, 1, 8), in "
        "float64: NotImplementedError (bigrams.py:",
        FORWARD | SINGLE,
    ),
    "Flat": ("inexact", "extend returns parameters (1, 16); a Categorical of these elements needs (1, 1, 16)", FORWARD),
    "Alone": ("inexact", "extend returns (1, 1, 16); return parameters and the new state", FORWARD),
    "Last": (
        "inexact",
        "single steps are right, but extend(state, f, 1, 8) returns parameters (1, 1, 16); a Categorical of these "
        "elements needs (1, 7, 16)",
        FORWARD | SINGLE,
    ),
}
"""Faults of a bigram: the status and words of rows that are charged, and the methods that stay verified."""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in this folder, so that messages name the file of the models alone."""
    monkeypatch.chdir(Path(__file__).parent)


def verified(fault: str, n: int = 16) -> dict[str, Verification]:
    """Return the verification of each method of a faulty bigram."""
    plan = make_plan(Options(models=[f"bigrams.py:{fault}:tiny"], n=(n,)))
    job = Job("prove", plan.cases, 0, 1, share_s=100.0)
    methods = {case.id: case.method for case in plan.cases}
    return {methods[m.line.case]: m.line for m in ModelSubject(job).verify(job) if isinstance(m.line, Verification)}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_charged_to_the_methods_that_use_the_half_which_is_wrong(fault: str) -> None:
    found = verified(fault)
    status, said, sound = BROKEN[fault]
    assert {method for method, line in found.items() if line.status == "ok"} == sound
    wrong = [line for line in found.values() if line.status != "ok"]
    assert {line.status for line in wrong} <= {status}
    told = {line.error for line in wrong} | {(line.verified or {}).get("extend", "") for line in found.values()} - {""}
    for text in told if fault != "Sound" else ():
        assert said in str(text)
        assert str(text).endswith(said) or ":" in said[-15:], text
    assert all(
        bool(line.verified.get("extend")) == (fault != "Sound") for line in found.values() if line.status == "ok"
    )


@pytest.mark.parametrize(
    ("fault", "said", "sound"),
    [
        ("Sound", "", FORWARD | SINGLE | {"blocks", "forecast"}),
        ("Looping", "in one call for elements 1 to 31, from element 2 on", FORWARD | SINGLE),
        (
            "Late",
            "from element 80 on, allowed 1.*e-09: extend is right over all elements at once and in its first 64 single "
            "steps, and wrong in later ones: it reads every element that forward reads, so look at where",
            FORWARD,
        ),
        (
            "Lately",
            "extend failed in extend.state, f, 80, 81., after a call over several elements, in float64: ",
            FORWARD,
        ),
        (
            "Single",
            "extend failed over several elements at once, in extend.state, f, 1, 32., in float64: ",
            FORWARD | SINGLE,
        ),
    ],
)
def test_a_long_event_is_walked_in_one_call_and_its_last_steps(fault: str, said: str, sound: set[str]) -> None:
    """The last 64 of 96 elements are taken step by step, once one call has taken the elements before them."""
    found = verified(fault, 96)
    assert {method for method, line in found.items() if line.status == "ok"} == sound
    assert all(re.search(said, str(line.error)) for line in found.values() if line.status != "ok"), found


def test_a_case_ends_at_its_first_call_of_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, int] = {}
    verification = ModelSubject._verification

    def watched(self: ModelSubject, case: CaseKey, model: dict[str, Any]) -> Verification:
        source = self.pair(case)[0]
        extend = source.extend

        def call(*args: Any) -> Any:
            calls[case.method] = calls.get(case.method, 0) + 1
            return extend(*args)

        source.__dict__["extend"] = call
        return verification(self, case, model)

    monkeypatch.setattr(ModelSubject, "_verification", watched)
    assert verified("Sound")["cached"].status == "ok"
    assert calls["cached"] >= 16
    calls.clear()
    assert verified("Stale")["cached"].status == "inexact"
    assert calls == {}

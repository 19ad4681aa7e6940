"""Sentences on a whole run: what was verified, what failed and why, and what to do about the rest."""

from __future__ import annotations

import math

import msgspec
import pytest
from markupsafe import escape

from arbench.report import answers, cell, failures, remarks
from arbench.results import Case, Run


def only_wavenet(change):
    def edit(line):
        if isinstance(line, Case):
            line = msgspec.structs.replace(line, status="ok", error=None, unstable=False)
            return change(line)
        return line

    return edit


def starting(results, word: str) -> list[str]:
    return [line for line in remarks(results) if line.startswith(word)]


def test_all_is_well(build, models) -> None:
    lines = remarks(build(models=models[:1], edit=only_wavenet(lambda case: case)))
    assert lines[0] == "Verified: 30 cases are right, none is wrong."
    assert [line.partition(":")[0] for line in lines] == ["Verified", "Claims on depth and work"]


def test_a_cell_of_a_notebook_has_the_answer(results) -> None:
    assert answers(results)
    for one in answers(results):
        assert all(str(escape(text)) in cell(results) for text in one.sentences)


def test_one_reason_is_said_once_with_all_its_cases(build, models) -> None:
    def leaking(case):
        more = {"status": "inexact", "error": "forward leaks"} if case.method in ("naive", "cached") else {}
        return msgspec.structs.replace(case, **more)

    results = build(models=models[:1], edit=only_wavenet(leaking))
    assert "forward leaks" in cell(results)
    sizes = "256, 512, 1,024, 2,048, 4,096 and 16,384"
    assert failures(results) == [f"Inexact: wavenet:nv, sample naive and sample cached at N = {sizes}: forward leaks."]
    assert starting(results, "Verified") == ["Verified: 18 cases are right, 12 wrong."]


def test_different_reasons_and_sizes_stand_apart(build, models) -> None:
    def failing(case):
        if case.n == 256 and case.method == "naive":
            return msgspec.structs.replace(case, status="oom", error="no memory.")
        if case.n == 512 and case.method == "cached":
            return msgspec.structs.replace(case, status="timeout", error="no answer")
        return case

    assert failures(build(models=models[:1], edit=only_wavenet(failing))) == [
        "Out of memory: wavenet:nv, sample naive at N = 256: no memory.",
        "Timed out: wavenet:nv, sample cached at N = 512: no answer.",
    ]


def over(workers: int | None, rounds: int | None = None):
    """Return an edit: two cases over budget would take 4 s and 6 s, all others 1 ms."""

    def edit(line):
        if isinstance(line, Run):
            return msgspec.structs.replace(line, plan={"options": {"workers": workers, "rounds": rounds}})
        if isinstance(line, Case):
            about = {("naive", 4096): {"predicted_s": 4.0}, ("naive", 16384): {"call_s": 6.0}}
            facts = about.get((line.method, line.n))
            if facts:
                return msgspec.structs.replace(line, status="over_budget", verified=facts, median_s=None, ci95_s=None)
            return msgspec.structs.replace(line, status="ok", median_s=1e-3, ci95_s=(1e-3, 1e-3), unstable=False)
        return line

    return edit


def test_over_budget_says_which_budget_would_do(build, models) -> None:
    """Each of 6 processes needs room for three calls of 6 s: 1.2 x 6 x 18 s = 129.6 s, rounded up to 130."""
    (line,) = starting(build(models=models[:1], edit=over(6)), "Over budget")
    needed = "--budget 130 (2 min a model) would time all."
    assert line == f"Over budget: 2 cases not timed; {needed}"


@pytest.mark.parametrize(("longest", "budget"), [(0.06, "1.3"), (2e-4, "0.0044"), (0.4, "8.7")])
def test_a_small_budget_is_one_that_the_command_line_takes(build, models, longest: float, budget: str) -> None:
    """Each of 6 processes needs room for three of the longest calls, and a fifth more: 21.6 times its seconds."""

    def brief(line):
        line = over(6)(line)
        if isinstance(line, Case):
            facts = {"call_s": longest} if line.status == "over_budget" else None
            return msgspec.structs.replace(line, verified=facts, median_s=None if facts else 1e-9, ci95_s=None)
        return line

    (line,) = starting(build(models=models[:1], edit=brief), "Over budget")
    assert f"--budget {budget} ({budget} s a model) would time all" in line


def test_kernels_share_one_budget(build, kernel_table) -> None:
    """A call of every case of both kernels must fit the share of each of 2 processes, and a fifth more."""
    first, second = (name for name, *_ in kernel_table[:2])

    def long(line):
        if isinstance(line, Run):
            return msgspec.structs.replace(line, plan={"options": {"workers": 2, "rounds": None}})
        if isinstance(line, Case) and line.status == "ok":
            about = {"call_s": {first: 1.0, second: 2.0}[line.model]}
            return msgspec.structs.replace(line, status="over_budget", verified=about, median_s=None, ci95_s=None)
        return line

    results = build(models=[], kernels=kernel_table[:2], edit=long)
    calls = [case.verified["call_s"] for case in results.cases.values() if case.status == "over_budget"]
    assert set(calls) == {1.0, 2.0}
    (line,) = starting(results, "Over budget")
    needed = math.ceil(1.2 * 2 * sum(calls))
    assert 10 < needed < 100
    told = f"--budget {needed} ({needed} s for all kernels) would time all."
    assert line == f"Over budget: {len(calls)} cases not timed; {told}"


def test_without_the_number_of_processes_the_advice_has_no_number(build, models) -> None:
    (line,) = starting(build(models=models[:1], edit=over(None)), "Over budget")
    assert line == "Over budget: 2 cases not timed; give a larger --budget, or smaller sizes with --n."


def test_a_fixed_number_of_rounds_is_limited_by_the_timeout(build, models) -> None:
    (line,) = starting(build(models=models[:1], edit=over(2, rounds=3)), "Over budget")
    assert "--timeout" in line


def test_unstable_says_what_to_do(build, models) -> None:
    def shaky(case):
        return msgspec.structs.replace(case, unstable=case.method == "cached" and case.n == 256)

    (line,) = starting(build(models=models[:1], edit=only_wavenet(shaky)), "Unstable")
    assert line.startswith("Unstable: 1 of ")
    assert "stop other programs and repeat." in line

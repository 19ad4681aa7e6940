"""A check goes on after what hangs, crashes or is killed, and charges it to what did it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Message, Planned
from arbench.bench.options import Options, PlanError
from arbench.bench.workers import checking
from arbench.bench.workers.checking import Checks, check, patience_s
from arbench.bench.workers.failure import NoWorkerError, WorkerFailure
from arbench.results import Verification

MODELS = Path(__file__).parents[1] / "models"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand beside the models, so that messages name their file alone."""
    monkeypatch.chdir(MODELS)


def said(found: Checks) -> dict[tuple[str, int], tuple[str, str | None]]:
    return {(case.method, case.n): (found.lines[case.id].status, found.lines[case.id].error) for case in found.cases}


def test_a_model_that_hangs_is_charged_once_with_its_line(here: None) -> None:
    options = Options(models=["attending.py:Hanging"], n=[8, 12], batch=[1], methods=["parallel", "naive"])
    found = said(check(options, ["float32"], timeout=2.0))
    assert found["parallel", 8] == found["naive", 8] == ("ok", None)
    status, why = found["parallel", 12]
    assert found["naive", 12] == (status, why)
    assert status == "timeout"
    number = next(
        i for i, line in enumerate(Path("attending.py").read_text().splitlines(), 1) if "shape[1] > 8" in line
    )
    assert why in [f"no response for 2 s, in forward (attending.py:{at})" for at in (number, number + 1)]


def test_samplers_that_crash_and_hang_are_charged_and_the_others_go_on(here: None) -> None:
    methods = ["parallel", *(f"attending.py:{name}" for name in ("draw", "crashing", "hanging"))]
    options = Options(models=["attending.py:Right"], n=[8], batch=[1], methods=methods)
    found = said(check(options, ["float32"], timeout=2.0))
    assert found["parallel", 8] == found["attending.draw", 8] == ("ok", None)
    assert found["attending.crashing", 8][0] == "error"
    assert str(found["attending.crashing", 8][1]).startswith("the worker was killed by SIGSEGV, in crashing (attending")
    assert found["attending.hanging", 8][0] == "timeout"
    assert str(found["attending.hanging", 8][1]).startswith("no response for 2 s, in hanging (attending.py:")


def test_larger_sizes_of_our_choice_wait_until_steps_are_mended(
    here: None, load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)
    options = Options(models=["attending.py:Drifting"], methods=["parallel", "sequential"])
    found = said(check(options, ["float32"]))
    assert found["parallel", 13] == ("ok", None)
    assert found["sequential", 13][0] == "inexact"
    waiting = ("over_budget", "left out until what is wrong at N = 13 is mended")
    assert {line for (_, n), line in found.items() if n > 13} == {waiting}
    given = said(check(replace(options, n=[13, 20]), ["float32"]))
    assert given["parallel", 20] == ("ok", None)
    assert given["sequential", 20][0] == "inexact"


def test_the_process_that_asks_imports_no_torch() -> None:
    code = "import sys, arbench.bench.workers.checking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


CASES = [
    CaseKey("a:B", "a", "B", "score", "parallel", "eager", "cpu", "float32", 1, 8, "element", 3, "pointwise"),
    CaseKey("a:B", "a", "B", "sample", "cached", "eager", "cpu", "float32", 1, 8, "element", 3, "pointwise"),
    CaseKey("a:B", "a", "B", "sample", "naive", "eager", "cpu", "float32", 1, 8, "element", 3, "pointwise"),
]
PLANNED = [Message(begin="a:B", step="imported"), Message(planned=Planned(CASES))]
KILLED = WorkerFailure("error", "the worker was killed by SIGKILL (out of memory?)", -9)
HUNG = WorkerFailure("timeout", "no response for 8 s")


def begun(case: CaseKey, step: str = "verify") -> Message:
    return Message(begin=case.id, step=step)


def right(case: CaseKey) -> list[Message]:
    return [begun(case), Message(line=Verification(case.id, "ok", "pointwise", {}))]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checks]:
    """Return a function that checks with workers that send given messages, one list for each worker."""

    def run(*workers: list[Any]) -> Checks:
        left = list(workers)

        class Pool:
            def __enter__(self) -> Pool:
                return self

            def __exit__(self, *_: object) -> None: ...

            def converse(self, job: Job, timeout: Any) -> Iterator[Any]:
                assert job.stage == "check"
                assert bool(job.cases) != bool(job.options)
                yield from left.pop(0)

        monkeypatch.setattr(checking, "WorkerPool", Pool)
        found = check(Options(models=["a:B"]), ["float32"])
        assert not left
        return found

    return run


def statuses(found: Checks) -> list[str]:
    return [found.lines[case.id].status for case in CASES]


def test_what_is_killed_from_outside_is_tried_again(pretend: Callable[..., Checks]) -> None:
    first, second, third = CASES
    found = pretend([*PLANNED, *right(first), begun(second), KILLED], [*right(second), *right(third)])
    assert statuses(found) == ["ok"] * 3
    found = pretend([*PLANNED, *right(first), begun(second), KILLED], [begun(second), KILLED], right(third))
    assert statuses(found) == ["ok", "error", "ok"]


def test_a_fault_of_the_model_is_charged_to_all_of_its_cases(pretend: Callable[..., Checks]) -> None:
    found = pretend([*PLANNED, *right(CASES[0]), begun(CASES[1], "probe"), HUNG])
    assert statuses(found) == ["ok", "timeout", "timeout"]


def test_two_hangs_are_enough(pretend: Callable[..., Checks]) -> None:
    found = pretend([*PLANNED, begun(CASES[0]), HUNG], [begun(CASES[1]), HUNG])
    assert statuses(found) == ["timeout", "timeout", "over_budget"]


def test_what_cannot_be_planned_is_refused(pretend: Callable[..., Checks]) -> None:
    with pytest.raises(PlanError, match=r"^model 'a:B': no answer within 60 s while it was built; choose a smaller"):
        pretend([Message(begin="a:B", step="built"), HUNG])
    with pytest.raises(PlanError, match=r"^no such model$"):
        pretend([Message(planned=Planned(refusal="no such model"))])
    dead = WorkerFailure("error", "the worker exited with code 1", 1, ready=False)
    with pytest.raises(NoWorkerError):
        pretend([dead], [dead])


def test_a_large_model_may_take_longer() -> None:
    assert patience_s(None, []) == patience_s(None, [], "my_model.py:Net") == patience_s(None, [], "a.b:Net") == 11
    assert patience_s(None, [], "hf:gpt2") == 60
    assert patience_s(None, CASES) == 8
    assert patience_s(3.5, CASES) == 3.5
    large = CaseKey("a:B", "a", "B", "score", "x", "eager", "cpu", "float32", 1, 8, "e", 124_000_000, "pointwise")
    assert patience_s(None, [large]) == 70

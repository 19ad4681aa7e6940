"""Methods from outside: what is right passes, and what is wrong is said in one line of its own row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from arbench.bench.inexact import InexactError
from arbench.bench.job import Job
from arbench.bench.models.verify import outside
from arbench.bench.models.verify.outside import MORE, MOST, Untouched, draw_more
from arbench.bench.options import PlanError
from arbench.bench.plan import Options, make_plan
from arbench.bench.subject import opened
from arbench.methods import Task
from arbench.results import Verification

HERE = Path(__file__).parent
MODEL = f"{HERE}/bigrams.py:Sound"
RIGHT = ("right", "narrow", "flipped", "frozen", "aliased", "printing", "chunks", "stated")
EVENTS = "expected a tensor, or from a function of the noise a NumPy array of numbers"
WRONG = {
    "planted": "element 7 of row 0 is ",
    "rarely": "element ",
    "whole": "log-probabilities differ from forward's by ",
    "one_row": "recorded parameters of shape (1, 64, 15), expected (1, 64, 16)",
    "silent": "did not record the parameters it drew from",
    "bare": "returned Tensor, expected an Outcome",
    "short": "returned events of shape (1, 63), expected (1, 64)",
    "floats": "returned events of torch.float32; the model's law draws symbols, expected int64",
    "undefined": "returned events of torch.float64; the model's law draws symbols, expected int64",
    "beyond": "element 3 of row 0 is 16; the symbols are 0 to 15",
    "negative": "element 0 of row 0 is -",
    "nothing": f"returned events of type NoneType, {EVENTS}",
    "objects": f"returned events of type ndarray, {EVENTS}",
    "no_chunks": "passed nothing to task.made, expected chunks (1, 24), (1, 24), (1, 16)",
    "small_chunks": "passed (1, 24), (1, 24), (1, 16) to task.made, expected chunks (1, 32), (1, 32)",
    "stale_chunks": "passed chunks of other elements than it returned",
    "wide_steps": "returned step_bytes 'a', expected a whole number from 1 on",
    "no_steps": "returned step_bytes 0, expected a whole number from 1 on",
    "less_than_no_exchanges": "returned exchanges -1, expected a whole number from 0 on",
    "over_noise": "changed its noise, which other calls read too; change a copy of it",
    "over_weights": "changed the model's 'out', which other calls read too; change a copy of it",
    "over_a_weight": "changed the model's 'out', which other calls read too; change a copy of it",
}
FAILING = {
    "raising": "ValueError: no way (",
    "leaving": "RuntimeError: called sys.exit(3)",
}


@pytest.fixture(scope="module")
def lines() -> Iterator[dict[str, Verification]]:
    """Yield the verifications of all samplers, made one after the other by one worker's subject."""
    before = set(sys.modules)
    methods = [f"{HERE}/outsiders.py:{name}" for name in (*WRONG, *FAILING, *RIGHT)]
    cases = make_plan(Options(models=[MODEL], methods=methods, n=[64])).cases
    names = {case.id: case.method.removeprefix("outsiders.") for case in cases}
    job = Job("prove", cases, seed=0, threads=1, share_s=100.0)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, "SECONDS", 60.0)  # however busy the machine is
        found = [message.line for message in opened(job).verify(job)]
    yield {names[line.case]: line for line in found if isinstance(line, Verification)}
    for name in set(sys.modules) - before:
        if name.startswith("arbench_user_"):
            del sys.modules[name]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes_after_all_that_is_wrong(name: str, lines: dict[str, Verification]) -> None:
    assert (lines[name].status, lines[name].error) == ("ok", None)
    assert lines[name].verified["elements"] >= (33 * 64 if "recorded" in lines[name].verified else 64)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str, lines: dict[str, Verification]) -> None:
    assert lines[name].status == "inexact"
    assert lines[name].error.startswith(WRONG[name])


@pytest.mark.parametrize("name", FAILING)
def test_what_raises_fails_alone(name: str, lines: dict[str, Verification]) -> None:
    assert lines[name].status == "error"
    assert lines[name].error.startswith(FAILING[name])


def test_a_rare_fault_is_found_under_other_noise(lines: dict[str, Verification]) -> None:
    assert "(noise of seed " in lines["rarely"].error


def test_other_noise_is_drawn_as_often_as_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = make_plan(Options(models=[MODEL], n=[8])).cases
    source = opened(Job("prove", cases, seed=0, threads=1)).pair(cases[0])[0]
    tasks: list[Task] = []
    task = Task(8, {}, noise=source.distribution.noise(0, range(2), range(8), torch.float32))
    assert draw_more(source, task, 2**63 - 2, tasks.append) == MOST * 16 < MORE
    assert len({float(one.noise.sum()) for one in tasks}) == MOST
    assert all(one.noise.shape == task.noise.shape for one in tasks)
    untouched = Untouched(source, task)
    task.noise[0, 0, 0] += 1
    with pytest.raises(InexactError, match="changed its noise"):
        untouched.check()


FITTING = """
from arbench.methods import Method, sampler
from arbench.methods.stepwise import cached
from arbench.models import Claim

NOISY = Method("any", "sample", "z", cached, "")
CLAIMING = Method("any", "sample", "x", cached, "", claim=Claim("N!", "N"))
ZERO = Method("any", "sample", "x", cached, "", depth=lambda n, batch, model: 0)
FAILING = Method("any", "sample", "x", cached, "", flops=lambda n, batch, model: n / 0)
PICKY = Method("any", "sample", "x", cached, "", lacks=lambda model: "is for nobody")
UNSURE = Method("any", "sample", "x", cached, "", lacks=lambda model: model.nothing)
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NOISY", "; fitting.NOISY runs models that read noise, and this one reads events"),
        ("CLAIMING", "method 'fitting.CLAIMING', its claim: unknown growth class 'N!'; known: "),
        ("ZERO", "method 'fitting.ZERO': its depth is 0 at N = 8; return a whole number from 1 on"),
        ("FAILING", "method 'fitting.FAILING': its flops fails at N = 8: ZeroDivisionError: division by zero ("),
        ("PICKY", "; fitting.PICKY is for nobody"),
        ("UNSURE", "method 'fitting.UNSURE': its lacks fails: AttributeError: "),
    ],
)
def test_a_method_that_does_not_fit_is_refused_before_any_work(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "fitting.py").write_text(FITTING)
    with pytest.raises(PlanError) as refused:
        make_plan(Options(models=["wavenet:tiny"], methods=[f"{tmp_path}/fitting.py:{name}"], n=[8]))
    del sys.modules["arbench_user_fitting"]
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_methods_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "fitting.py").write_text(
            FITTING.replace("PICKY", "SAME").replace('"is for nobody"', "None")
        )
    places = [f"{tmp_path}/{folder}/fitting.py:SAME" for folder in ("a", "b")]
    with pytest.raises(PlanError) as refused:
        make_plan(Options(models=["wavenet:tiny"], methods=places, n=[8]))
    del sys.modules["arbench_user_fitting"]
    assert str(refused.value) == f"'{places[1]}' and '{places[0]}' are both called fitting.SAME; rename one"


def test_a_model_s_claim_about_a_name_holds_for_it_with_settings_and_a_method_s_own_otherwise(tmp_path: Path) -> None:
    (tmp_path / "fitting.py").write_text(FITTING.replace("N!", "N"))
    (case,) = make_plan(Options(models=["wavenet:tiny"], methods=[f"{tmp_path}/fitting.py:CLAIMING"], n=[8])).cases
    del sys.modules["arbench_user_fitting"]
    assert (case.claimed_depth, case.method, case.method_spec) == (
        "N",
        "fitting.CLAIMING",
        f"{tmp_path}/fitting.py:CLAIMING",
    )

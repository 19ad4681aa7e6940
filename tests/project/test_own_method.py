"""The contract of a user's own sampler: its page names everything, and its code runs exactly as printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import torch

import arbench
from arbench.bench import runner
from arbench.methods import Method, Outcome, Task
from arbench.own.settings import settings_of
from arbench.results import Case, Results

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-method.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
BIGRAM = next(one for one in BLOCKS if "class Bigram" in one)
SIZES = [16]
PLANTED = """

def planted(model, noise):
    x = draw(model, noise)
    x[0, 5] = (x[0, 5] + 1) % 16
    return x
"""


def passed(model, noise):
    """Draw symbol by symbol."""
    x, before = torch.zeros(noise.shape[:2], dtype=torch.long), torch.zeros(len(noise), dtype=torch.long)
    for i in range(noise.shape[1]):
        x[:, i] = ((model.embedding @ model.out)[before] + noise[:, i]).argmax(-1)
        before = x[:, i] + 1
    return x


@pytest.fixture(scope="module")
def results(load: Callable[[Path], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Yield a run of the page's samplers, and of the first one with one wrong symbol, within this process."""
    folder = tmp_path_factory.mktemp("mine")
    files = {"bigram": BIGRAM, "my_sampler": BLOCKS[0] + PLANTED, "stated": BLOCKS[1], "full": BLOCKS[3]}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    found = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)
        patch.setattr(runner, "limits", lambda device, threads=None: found)
        places = ["my_sampler.py:draw", "my_sampler.py:planted", "stated.py:draw", "full.py:steps"]
        methods = ["parallel", "cached", *(f"{folder}/{place}" for place in places), passed]
        yield arbench.measure(f"{folder}/bigram.py:Bigram", methods=methods, n=SIZES, rounds=1, workers=1)
    for name in set(sys.modules) - before:
        if name.startswith("arbench_user_") or name == "my_sampler":
            del sys.modules[name]


def rows(results: Results, method: str) -> list[Case]:
    found = [case for case in results.cases.values() if case.method == method]
    assert [case.n for case in found] == SIZES
    return found


def test_the_numba_loop_is_measured_and_its_depth_is_unknown_with_the_reason(results: Results) -> None:
    for case in rows(results, "my_sampler.draw"):
        assert (case.status, case.error) == ("ok", None)
        assert (case.depth, case.ops, case.flops, case.nfe) == (None, None, None, None)
        assert case.why_unknown == "loop, compiled by Numba, computed without tensor operations"
        assert case.median_s is not None
        assert case.verified is not None
        assert case.verified["recorded"] is False
        assert case.verified["elements"] > case.n  # as many other draws as there is time for
        assert case.verified["how"].endswith("the draws alone, since the method returns no parameters")


def test_one_wrong_symbol_is_inexact_and_named(results: Results) -> None:
    for case in rows(results, "my_sampler.planted"):
        assert case.status == "inexact"
        assert case.error is not None
        assert re.fullmatch(
            r"element 5 of row 0 is \d+, but the parameters that its own prefix implies draw \d+", case.error
        )
        assert case.verified is not None
        assert case.verified["first_difference"] == [0, 5]
        assert case.median_s is None


def test_a_stated_formula_is_marked_and_not_judged(results: Results) -> None:
    for case in rows(results, "stated.draw"):
        assert (case.depth, case.flops, case.count_source) == (2 * case.n, 16 * case.n, "formula")
        assert case.ops is None
    assert not [fit for fit in results.fits.values() if fit.method == "stated.draw" and fit.metric != "seconds"]


def test_the_full_form_is_compared_in_log_probability_and_counted(results: Results) -> None:
    for case, built_in in zip(rows(results, "full.steps"), rows(results, "cached"), strict=True):
        assert case.status == "ok"
        assert case.verified is not None
        assert case.verified["largest_difference"] <= case.verified["tolerance"]
        assert "recorded" not in case.verified
        assert case.nfe == built_in.nfe == case.n
        assert case.depth == built_in.depth


def test_a_function_can_be_passed_itself_and_tensor_operations_are_counted(results: Results) -> None:
    for case in rows(results, "test_own_method.passed"):
        assert (case.status, case.count_source, case.nfe) == ("ok", "counted", None)
        assert case.depth is not None
        assert case.depth >= 3 * case.n


def test_the_report_says_whose_draws_alone_were_verified(results: Results) -> None:
    assert (
        "Verified by its draws alone: sample my_sampler.draw, sample stated.draw and sample test_own_method.passed; "
        in repr(results)
    )


@pytest.mark.parametrize("kind", [Task, Outcome, Method])
def test_the_page_names_every_field(kind: type) -> None:
    missing = [one.name for one in fields(kind) if not re.search(rf"`{one.name}\b|\b{one.name}=", PAGE)]
    assert set(missing) <= {"name", "op", "run", "summary", "reference", "outside"}


def test_settings_are_read_as_the_page_says() -> None:
    (said,) = re.findall(r"The value of a setting is read as TOML.*?\n\n", PAGE, re.DOTALL)
    kinds = {
        "16": int,
        "0.5": float,
        "1e3": float,
        "true": bool,
        "false": bool,
        "[1, 2]": list,
        "True": str,
        "None": str,
    }
    for text, kind in kinds.items():
        assert f"`{text}`" in said
        assert type(settings_of(f"width={text}")["width"]) is kind

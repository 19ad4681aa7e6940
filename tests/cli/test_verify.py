"""``arbench verify`` answers first, lists what was checked and what was not, and ends with the exit codes of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arbench.bench.workers import checker, checking

MODELS = Path(__file__).parents[1] / "bench" / "models"
SMALL = ("--n", "8", "--batch", "2", "--dtype", "float32")


@pytest.fixture(autouse=True)
def within(load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check in this process, beside the models."""
    monkeypatch.setattr(checking, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)
    monkeypatch.chdir(MODELS)


def test_a_model_that_is_right(answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "SPARE_S", 1e9)  # a busy machine would leave out what can be spared
    found = answer("verify", "--model", "bigrams.py:Sound")
    assert found.code == 0
    lines = found.out.splitlines()
    said = " ".join(found.out.split())
    assert said.startswith(
        "bigrams.py:Sound:tiny is right: 7 methods at N = 13 (2 events), 64 and 129, in float32 and "
    )
    assert [line for line in lines if not line.startswith(" ")][1:] == ["checked", "next"]
    assert "✓ sample naive, cached, fixed_point, blocks, forecast: 245 elements are those that forward draws" in said
    assert lines[-1] == "  depth, work, memory and time: arbench run --model bigrams.py:Sound:tiny"


def test_a_model_that_is_wrong(answer: Callable[..., Any]) -> None:
    found = answer("verify", "--model", "bigrams.py:Leaking", *SMALL)
    assert found.code == 1
    assert found.out.startswith("bigrams.py:Leaking:tiny is WRONG: forward leaks: parameters of element 0 change")
    assert "\n  It means: forward reads what it must predict" in found.out
    assert "\n  ✗ leaks: as said above\n" in found.out


def test_what_calls_a_wrong_step_is_not_checked_and_the_command_is_repeated(answer: Callable[..., Any]) -> None:
    words = "--model bigrams.py:Stale --method parallel,naive,cached --n 8 --batch 2 --dtype float32 --seed 3"
    found = answer("verify", *words.split())
    assert found.code == 1
    said = " ".join(found.out.split())
    assert "not checked - rewind; sample cached: they call extend, which is wrong next" in said
    assert said.endswith(f"next once it is mended: arbench verify {words}")


def test_what_is_right_is_measured_with_the_same_inputs(answer: Callable[..., Any]) -> None:
    found = answer("verify", "--model", "bigrams.py:Sound", "--method", "parallel", *SMALL, "--seed", "3")
    said = " ".join(found.out.split())
    assert said.endswith("arbench run --model bigrams.py:Sound:tiny --method parallel --dtype float32 --seed 3")


def test_a_model_of_which_nothing_runs(answer: Callable[..., Any]) -> None:
    found = answer("verify", "--model", "attending.py:Raising", *SMALL)
    assert found.code == 3
    assert found.out.startswith("attending.py:Raising:tiny fails: IndexError: no such position (attending.py:")


def test_a_document_of_two_models(answer: Callable[..., Any], tmp_path: Path) -> None:
    models = ("--model", "bigrams.py:Sound", "--model", "bigrams.py:Stale")
    found = answer("verify", *models, *SMALL, "--json", "--out", tmp_path / "new")
    assert found.code == 1
    document = json.loads(found.out)
    assert document == json.loads((tmp_path / "new" / "verify.json").read_text())
    assert [one["outcome"] for one in document["models"]] == ["right", "wrong"]
    first = document["models"][1]["checked"][0]
    assert (first["name"], first["right"]) == ("extend", False)
    assert {case["status"] for case in document["cases"]} == {"ok", "inexact"}
    text = answer("verify", *models, *SMALL).out
    assert text.splitlines()[-1].startswith("1 of 2 models are right, in ")


def test_nothing_is_written(answer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert answer("verify", "--model", "mingru:tiny", *SMALL, "--method", "parallel").code == 0
    assert not list(tmp_path.iterdir())


def test_a_suite_gives_its_models(answer: Callable[..., Any], tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(
        f'[options]\nn = [64, 8, 4096, 16]\n[[models]]\nmodel = "{MODELS}/bigrams.py:Sound"\nmethods = "cached"\n'
    )
    found = answer("verify", "--suite", suite, "--dtype", "float64")
    assert found.code == 0
    assert "bigrams.py:Sound:tiny is right: 1 method at N = 8 (2 events) and 16," in " ".join(found.out.split())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--model", "wavenett"], "unknown model 'wavenett'; did you mean 'wavenet'?"),
        (["--timeout", "0"], "--timeout must be above 0 seconds"),
        (["--n", "0"], "--n must be at least 1, got 0"),
        (["--method", "cachd"], "unknown method 'cachd'; did you mean 'cached'?"),
        (["--model", "pixelcnn:digits", "--n", "8"], "pixelcnn:digits: no square has 8 pixels; near: 4, 9"),
        (
            ["--law", "normal"],
            "--law is the law of a --model that is a plain module; add one, as in --model path.py:Net",
        ),
    ],
)
def test_wrong_use(words: list[str], text: str, refusal: Callable[..., str]) -> None:
    assert refusal("verify", *words) == text

"""Exceptions of a user's code on one line, with the place in that code."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

from arbench.own.raised import LONGEST, one_line


@pytest.fixture
def raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BaseException]:
    """Return a function that runs code from a file in the current folder and returns what it raises."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, place: str = "mine.py") -> BaseException:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        spec = spec_from_file_location("mine", path)
        assert spec is not None
        assert spec.loader is not None
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever the code raises
            spec.loader.exec_module(module_from_spec(spec))
        passed = caught.value.__traceback__
        return caught.value.with_traceback(passed and passed.tb_next)  # without the frame of this fixture

    return run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n1 / 0\n", "ZeroDivisionError: division by zero (mine.py:2)"),
        ("raise ValueError\n", "ValueError (mine.py:1)"),
        ("raise ValueError(' one\\n\\ttwo ')\n", "ValueError: one two (mine.py:1)"),
        ("raise SystemExit('usage')\n", "SystemExit: usage (mine.py:1)"),
        ("def f():\n    g()\ndef g():\n    raise KeyError('k')\nf()\n", "KeyError: 'k' (mine.py:4)"),
        ("import torch\n\ntorch.nn.Linear(2, 2)(torch.zeros(1, 3))\n", r"RuntimeError: .* \(mine.py:3\)"),
        ("import json\njson.loads('{')\n", r"JSONDecodeError: .* \(mine.py:2\)"),
        ("from arbench.models import resolve\n\n\nresolve('qqqq')\n", r"NoModelError: .* \(mine.py:4\)"),
        ("def f(:\n", r"SyntaxError: .* \(mine.py:1\)"),
        ("exec('1 / 0')\n", "ZeroDivisionError: division by zero (mine.py:1)"),
    ],
)
def test_type_text_and_innermost_line_of_the_users_own_code(text: str, said: str, raised) -> None:
    line = one_line(raised(text))
    if ".*" in said:
        assert re.fullmatch(said, line), line
    else:
        assert line == said


CALLED = "called by mine.py:3"
LAYER = "import torch\n\nclass Outside(torch.nn.Module):\n    def forward(self, x):\n        return 1 / x\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import outside\n\noutside.step(0)\n", f"outside.py:2, {CALLED}"),
        ("import outside\ndef f():\n    outside.step(0)\nf()\n", f"outside.py:2, {CALLED}"),
        ("import outside_layer\n\noutside_layer.Outside()(0)\n", f"outside_layer.py:5, {CALLED}"),
        ("import outside\ndef g(x):\n    1 / x\noutside.back(g)\n", "mine.py:3"),
    ],
)
def test_a_file_of_the_users_is_named_beside_another_that_it_called(
    text: str, said: str, raised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``outside`` is a network that exists already, and torch stands between the two where it is called as a module."""
    (tmp_path / "outside.py").write_text("def step(x):\n    return 1 / x\n\ndef back(g):\n    g(0)\n")
    (tmp_path / "outside_layer.py").write_text(LAYER)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("outside", "outside_layer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert one_line(raised(text)) == f"ZeroDivisionError: division by zero ({said})"


def test_a_script_that_calls_arbench_is_not_the_users_model(raised, tmp_path: Path) -> None:
    """Here arbench calls back, as it calls a model."""
    (tmp_path / "model.py").write_text("def fail():\n    1 / 0\n")
    code = (
        "import runpy, sys\nfrom arbench.meters import count\n\n"
        "fail = runpy.run_path('model.py')['fail']\ncount(fail)\n"
    )
    assert one_line(raised(code)) == "ZeroDivisionError: division by zero (model.py:2)"


def test_a_file_in_a_folder_is_named_from_the_current_folder(raised, monkeypatch: pytest.MonkeyPatch) -> None:
    error = raised("1 / 0\n", "models/mine.py")
    assert one_line(error).endswith("(models/mine.py:1)")
    monkeypatch.chdir("/")
    assert one_line(error).endswith("models/mine.py:1)")


def test_a_file_elsewhere_is_named_without_its_folder(raised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = raised("1 / 0\n")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert one_line(error).endswith("(mine.py:1)")


def test_an_installed_package_is_named_where_nothing_is_the_users_own(raised) -> None:
    code = "def f():\n    raise ValueError('no')\nf()\n"
    assert one_line(raised(code, "lib/site-packages/theirs.py")) == "ValueError: no (lib/site-packages/theirs.py:2)"


def test_an_exception_that_passed_no_code_of_the_users_has_no_place() -> None:
    error = ValueError("no")
    assert one_line(error) == "ValueError: no"


def test_a_module_that_python_runs_as_the_program_is_not_the_users_own() -> None:
    names = {"__name__": "__main__", "__spec__": SimpleNamespace(name="arbench.gate.timing.worker")}
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("1 / 0", "arbench/gate/timing/worker.py", "exec"), names)
    passed = caught.value.__traceback__
    error = caught.value.with_traceback(passed and passed.tb_next)
    assert one_line(error) == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 100_000])
def test_a_long_text_is_shortened_and_keeps_its_place(length: int, raised) -> None:
    line = one_line(raised(f"raise ValueError('x' * {length})\n"))
    text = line.removeprefix("ValueError: ").removesuffix(" (mine.py:1)")
    whole = "x" * length
    assert text == (whole if length <= LONGEST else whole[: LONGEST - 3] + "...")


def test_an_exception_that_cannot_describe_itself_is_named(raised) -> None:
    code = "class E(Exception):\n    def __str__(self):\n        return 1 / 0\nraise E\n"
    assert one_line(raised(code)) == "E: without a text, because its __str__ raises ZeroDivisionError (mine.py:4)"

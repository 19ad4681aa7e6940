"""The page on models of other people: its code runs exactly as printed, and prints what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arbench.bench.options import Options
from arbench.bench.plan import make_plan
from arbench.bench.workers import checking
from arbench.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own.md").read_text(encoding="utf-8")


def blocks(language: str, section: str) -> list[str]:
    """Return the blocks of a language in the section of this title."""
    (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def plain(text: str) -> str:
    """Return a text as one line, without the digits that depend on the machine."""
    return " ".join(re.sub(r"\d+\.\d+(e-\d+| s\b)", "#", text).split())


@pytest.fixture
def there(
    tmp_path: Path,
    load: Callable[[Path], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """Return the current folder, in which ``arbench new`` has written its file; checks run in this process."""
    monkeypatch.setattr(checking, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["new", "model", "my_model.py"])
    capsys.readouterr()
    return tmp_path


def verified(capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--model", "my_model.py:MyModel"])
    return ended.value.code, capsys.readouterr().out


def test_what_verify_says_of_the_file_and_of_a_fault_in_it(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = blocks("text", "Is it right?")
    code, said = verified(capsys)
    assert (code, plain(said)) == (0, plain(right))
    (patch,) = blocks("diff", "Is it right?")
    before, after = (re.search(rf"^\{sign}(.*)$", patch, re.MULTILINE)[1] for sign in "-+")  # type: ignore[index]
    file = there / "my_model.py"
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    (there / "other").mkdir()
    (there / "other" / "my_model.py").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(there / "other")
        code, said = verified(capsys)
    assert (code, plain(said)) == (1, plain(wrong))


def test_its_tests_pass(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python", "In its own test suite")
    monkeypatch.syspath_prepend(there)
    names: dict[str, Any] = {"__name__": "test_my_model"}
    exec(compile(code, "bring-your-own.md", "exec"), names)
    tests = [name for name in names if name.startswith("test_")]
    assert len(tests) == 3
    for name in tests:
        names[name]()


def test_every_way_of_the_table_has_a_section() -> None:
    (table,) = re.findall(r"\| you have \|.*?\n\n", PAGE, re.DOTALL)
    titles = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.*)$", PAGE, re.M)
    }
    ways = re.findall(r"\]\(#([a-z0-9-]+)\)", table)
    assert ways
    assert set(ways) <= titles


def run_as_printed(section: str, file: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Write the Python of a section to a file, run its ``arbench verify`` lines, and return what each prints."""
    (code,) = blocks("python", section)
    Path(file).write_text(code, encoding="utf-8")
    lines = [line for block in blocks("console", section) for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line)
        assert words[0] in ("arbench", "pip")
        if words[:2] == ["arbench", "run"]:  # what it would measure, as a plan: models, settings and laws are real
            given = words[words.index("--model") + 1 :]
            law = [given[2]] if given[1:2] == ["--law"] else []
            assert make_plan(Options(models=(given[0] + "".join(f",law={one}" for one in law),))).cases
    said = []
    for line in lines:
        if line.startswith("arbench verify"):
            with pytest.raises(SystemExit) as ended:
                main(shlex.split(line)[1:])
            found = capsys.readouterr()
            assert ended.value.code == 0, found
            said.append(" ".join(found.out.split()))
    return said


def test_a_plain_network_as_printed(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (said,) = run_as_printed("A plain network", "my_net.py", capsys)
    assert said.startswith("my_net.py:Net:given,law=categorical:256 is right: 4 methods at N = 13 (2 events)")
    assert "score parallel alone at N = 1,024" in said


def test_flows_as_printed(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("zuko", reason="needs zuko, of the extra flows: pip install 'arbench[flows]'")
    pytest.importorskip("nflows", reason="needs nflows, of the extra flows: pip install 'arbench[flows]'")
    named, made = run_as_printed("A flow of zuko or nflows", "my_flow.py", capsys)
    assert named.startswith("zuko:MAF,features=16,transforms=3 is right: 5 methods at N = 16")
    assert made.startswith("my_flow.py:make_flow:given is right: 5 methods at N = 16")

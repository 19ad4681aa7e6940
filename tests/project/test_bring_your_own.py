"""The page on models of other people: commands print what it shows, word by word, and each way has a section.

``test_blocks`` runs all of its code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


def test_every_way_of_the_table_has_a_section() -> None:
    (table,) = re.findall(r"\| you have \|.*?\n\n", PAGE, re.DOTALL)
    titles = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.*)$", PAGE, re.M)
    }
    ways = re.findall(r"\]\(#([a-z0-9-]+)\)", table)
    assert ways
    assert set(ways) <= titles

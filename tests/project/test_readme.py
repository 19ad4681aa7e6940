"""The Python code that the README shows runs exactly as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import arbench

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block(containing: str) -> str:
    (found,) = [text for text in BLOCKS if containing in text]
    return found


def test_measuring_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block("arbench.measure"), "README.md", "exec"), names)
    assert (tmp_path / "mine" / "report.html").stat().st_size > 0


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "my_model.py"
    file.write_text(block("class Bigram"), encoding="utf-8")
    results = arbench.measure(f"{file}:Bigram", n=[8, 16, 32, 64], rounds=1, workers=1)
    assert {case.status for case in results.cases.values()} == {"ok"}
    claimed = [fit.verdict for fit in results.fits.values() if fit.claimed]
    assert claimed == ["holds"] * 4

"""docs/training.md: its first commands run as printed, and it says what the code does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from arbench.bench import runner
from arbench.cli import main
from arbench.models.events import audio, images, text, translation
from arbench.results import read
from arbench.train.loop import CURVE, STATE
from arbench.train.parts import VALIDATION
from arbench.train.run import HELD_OUT, MODEL

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def test_the_first_commands_run_as_printed(
    load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
    monkeypatch.setattr(runner, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)
    monkeypatch.setattr(runner, "limits", lambda device, threads=None: found)
    monkeypatch.chdir(tmp_path)
    train, run = (shlex.split(line)[1:] for line in BLOCKS[0].splitlines())
    quick = ["--method", "parallel,cached", "--workers", "1", "--rounds", "1", "--out", "run"]
    for words in (train, [*run, *quick]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    results = read(tmp_path / "run")
    assert {re.sub("-[0-9a-f]{8}$", "", case.preset) for case in results.cases.values()} == {"tiny@lstm"}
    assert "Quality beside speed" in (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")


def test_the_files_and_shares_are_those_of_the_code() -> None:
    for name in (MODEL, STATE, CURVE, HELD_OUT):
        assert f"`{name}`" in PAGE
    for share in (audio.HELD_OUT, text.HELD_OUT, images.HELD_OUT, translation.HELD_OUT):
        assert re.search(rf"^\| .* {100 * share:.0f}%", PAGE, re.MULTILINE)
    assert f"({100 * VALIDATION:.0f}% of the rest)" in PAGE

"""Paths in a baseline: relative to its folder in the file, and to the current folder in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbench.bench.options import Options
from arbench.gate.counters.portable import moved


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("wavenet:tiny", "wavenet:tiny"),
        ("wavenet:tiny@speech", "wavenet:tiny@speech"),
        ("wavenet@runs/mine", "wavenet@../runs/mine"),
        ("wavenet@mine.safetensors", "wavenet@../mine.safetensors"),
        ("wavenet@./baselines/mine", "wavenet@./mine"),
        ("my.py:Mine:tiny@runs/mine", "../my.py:Mine:tiny@../runs/mine"),
    ],
)
def test_models_and_their_weights(given: str, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baselines").mkdir()
    found = moved(Options(models=[given]), tmp_path / "baselines", reading=False)
    assert found.models == [stored]
    back = moved(found, Path("baselines"), reading=True).models
    assert back == [given.replace("@./", "@")]


@pytest.mark.parametrize(
    ("given", "stored"), [("numbers", "numbers"), ("book.txt", "../book.txt"), ("./numbers", "../numbers")]
)
def test_data_by_name_are_no_path(given: str, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baselines").mkdir()
    found = moved(Options(data=given), tmp_path / "baselines", reading=False)
    assert found.data == stored
    assert moved(found, Path("baselines"), reading=True).data == given

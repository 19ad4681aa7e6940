"""Fixtures of other people's models on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from arbench.bench.workers import checking
from arbench.cli import main


@pytest.fixture
def verify(
    load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str]]:
    """Return a function that runs ``arbench verify`` in this process; it returns the exit code and what it says."""
    monkeypatch.setattr(checking, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)

    def verify(*words: object) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["verify", *map(str, words)])
        found = capsys.readouterr()
        return ended.value.code, " ".join((found.out + found.err).split())

    return verify

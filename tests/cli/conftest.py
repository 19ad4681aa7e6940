"""The command line in this process, and as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arbench.cli import main

ROOT = Path(__file__).parents[2]
ARBENCH = [sys.executable, "-c", "from arbench.cli import main; main()"]


@dataclass(frozen=True)
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command in this process."""

    def run(*words: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        said = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def refusal(answer: Callable[..., Answer]) -> Callable[..., str]:
    """Runs a command that must be refused, and returns the one line it says."""

    def run(*words: object) -> str:
        found = answer(*words)
        assert (found.code, found.out) == (2, ""), found
        assert found.err.count("\n") == 1, found.err
        assert found.err.startswith("arbench: ")
        return found.err.removeprefix("arbench: ").rstrip("\n")

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts a command as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def run(*words: object, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*ARBENCH, *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **more,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def finish(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Answer]:
    """Runs a command as a process of its own to its end."""

    def run(*words: object, **more: Any) -> Answer:
        with start(*words, **more) as process:
            out, err = process.communicate(timeout=300)
        return Answer(process.returncode, out, err)

    return run

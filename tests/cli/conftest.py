"""Fixtures that run the command line in this process or in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from arbench.cli import main

ROOT = Path(__file__).parents[2]
ARBENCH = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored by a shell's background jobs
    "from arbench.cli import main; main()"
)
LIMITS = {
    "copy": [{"bytes": 32768, "gb_per_s": 1e6}],
    "read": [{"bytes": 32768, "gb_per_s": 1e6}],
    "matmul": {"float32": 1e6},
    "timer_s": 1e-7,
}
SMALL = "--model wavenet:tiny --n 8,16 --method parallel --method cached --rounds 2 --workers 2 --seed 5"


@dataclass(frozen=True)
class Answer:
    """Output and exit code of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs a command in this process."""

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
    """Return a function that runs a command that must be refused, and returns its one line."""

    def run(*words: object) -> str:
        found = answer(*words)
        assert (found.code, found.out) == (2, ""), found
        assert found.err.count("\n") == 1, found.err
        assert found.err.startswith("arbench: ")
        return found.err.removeprefix("arbench: ").rstrip("\n")

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts a command in a process of its own; ``before`` is Python code to run first.

    The environment is that of a user, who has not asked for Triton's interpreter.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("TRITON_INTERPRET", None)

    def run(*words: object, before: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", before + ARBENCH, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def finish(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Answer]:
    """Return a function that runs a command in a process of its own to its end."""

    def run(*words: object, before: str = "") -> Answer:
        with start(*words, before=before) as process:
            out, err = process.communicate(timeout=300)
        return Answer(process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def quickly() -> str:
    """Return Python for ``before``: it replaces the measurement of this machine's limits, which takes seconds."""
    return f"from arbench.bench import runner; runner.limits = lambda *_: {LIMITS}; "


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Return the options of a run of 4 cases, 2 rounds and 2 workers: 16 samples."""
    return SMALL.split()


@pytest.fixture(scope="session")
def finished(
    finish: Callable[..., Answer],
    small: list[str],
    load: Callable[[Path], ModuleType],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Answer]:
    """Return the folder of such a run and its output, made once and shared by the test processes."""

    def make(place: Path) -> None:
        found = finish("run", *small, "--out", place / "run")
        (place / "said.json").write_text(json.dumps([found.code, found.out, found.err]))

    place = load(ROOT / "tests" / "once.py").folder(tmp_path_factory, "finished", make)
    return place / "run", Answer(*json.loads((place / "said.json").read_text()))


@pytest.fixture
def copied(finished: tuple[Path, Answer], tmp_path: Path) -> Path:
    """Return a copy of the finished run's folder."""
    return Path(shutil.copytree(finished[0], tmp_path / "copied"))


@pytest.fixture
def known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the measurement of this machine's limits, which takes seconds, in this process."""
    from arbench import meters
    from arbench.bench import runner

    for room in (meters, runner):
        monkeypatch.setattr(room, "limits", lambda device, threads=None: LIMITS)


@pytest.fixture
def inside(load: Callable[[Path], ModuleType], known_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs of workers in this process."""
    from arbench.bench import prove, runner

    for room in (runner, prove):
        monkeypatch.setattr(room, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)

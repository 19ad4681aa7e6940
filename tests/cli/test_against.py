"""arbench check --against: refusals before any work, output, files, and what remains after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from arbench.findings import Check
from arbench.gate.timing import alone

ROOT = Path(__file__).parents[2]
ARBENCH = "from arbench.gate.timing import alone; alone.PAIRS = 1, 1; from arbench.cli import main; main()"
"""The command, with one pair of processes for the trial of each version alone."""
SMALL = ["--model", "wavenet:tiny", "--op", "sample", "--method", "cached", "--n", "8"]
BRIEF = ["--processes", "1", "--instances", "2"]
NAME = "cached sampling of wavenet:tiny (N = 8)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to compare with; pass --baseline FILE, --against REF, or both"),
        (["--baseline", "x", "--candidate", "."], "--candidate needs --against REF: the version to compare with"),
        (
            ["--baseline", "x", "--against", "HEAD", "--candidate", "."],
            "--candidate cannot be combined with --baseline, which checks the running version; leave out one of them",
        ),
        (
            ["--against", str(ROOT), "--candidate", str(ROOT / "tests")],
            f"{ROOT} contains the package arbench and {ROOT / 'tests'} does not; name two versions that both do",
        ),
        (["--baseline", "x", "--threshold", "1%"], "--threshold needs --against REF: the version to compare with"),
        (["--baseline", "x", "--apart"], "--apart needs --against REF: the version to compare with"),
        (["--update"], "--update needs --baseline FILE: the file to write"),
        (
            ["--baseline", "x", "--against", "HEAD", "--update"],
            "--update and --against cannot be combined; update the baseline first, then compare times",
        ),
        (
            ["--baseline", "x", "--against", "HEAD", "--kernel", "softmax"],
            "--kernel cannot be combined with --baseline, which has no kernels; leave out one of them",
        ),
        (["--against", "HEAD", "--processes", "0"], "--processes must be between 1 and 64, got 0"),
        (["--against", "HEAD", "--instances", "65"], "--instances must be between 1 and 64, got 65"),
        (
            ["--against", "HEAD", "--threshold", "often"],
            "Invalid value for '--threshold': expected a percentage such as 1% or 0.01, got 'often'",
        ),
        (
            ["--against", "HEAD", "--threshold", "wavenet=0%"],
            "Invalid value for '--threshold': expected more than 0% and less than 100%, got '0%'",
        ),
        (
            ["--against", "no-such"],
            "'no-such' is not a commit here, nor a folder, wheel or environment; name one of these",
        ),
        (
            ["--against", str(ROOT), "--candidate", str(ROOT), "--kernel", "softmaks"],
            "unknown kernel 'softmaks'; did you mean 'softmax'?",
        ),
        (
            ["--against", str(ROOT), "--candidate", str(ROOT), "--suite", "timeing"],
            "unknown suite 'timeing'; did you mean 'timing'? (the path of a suite ends in .toml)",
        ),
        (
            ["--against", str(ROOT / "tests"), "--candidate", str(ROOT / "tests"), *SMALL],
            f"neither {ROOT / 'tests'} nor {ROOT / 'tests'} contains the package arbench, so nothing would differ; "
            "name a model of theirs (--model file.py:Class) or two versions of the package",
        ),
    ],
)
def test_wrong_use_is_refused_before_any_work(
    words: list[str],
    said: str,
    refusal: Callable[..., str],
    tmp_path: Path,
    git: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    monkeypatch.chdir(tmp_path)
    assert refusal("check", *words) == said


def test_what_neither_version_has_is_refused(answer: Callable[..., Any]) -> None:
    found = answer("check", "--against", ROOT, "--candidate", ROOT, "--model", "wavenett")
    assert (found.code, found.out) == (2, "")
    assert found.err.splitlines()[-1] == "arbench: unknown model 'wavenett'; did you mean 'wavenet'?"


@pytest.fixture
def repository(copy_of_this_tree: Callable[..., Path], committed: Callable[[Path], Path]) -> Path:
    """Return a repository of this package."""
    return committed(copy_of_this_tree("repository"))


def started(folder: Path, *words: str, scratch: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch)}
    return subprocess.Popen(
        [sys.executable, "-c", ARBENCH, "check", *words],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_a_commit_is_compared_with_the_working_tree(repository: Path, scratch: Path, tmp_path: Path) -> None:
    """Two instances are too few for an interval, so the case is undecided: exit code 0, and 4 with --strict."""
    words = [
        "--against",
        "HEAD",
        *SMALL,
        *BRIEF,
        "--strict",
        "--json",
        "--junit",
        str(tmp_path / "junit.xml"),
    ]
    with started(repository, *words, scratch=scratch) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    check = msgspec.json.decode(out, type=Check)
    assert check.before.startswith("HEAD (")
    assert check.after == "the working tree"
    (case,) = (finding.case for finding in check.findings if finding.metric == "seconds")
    assert {(f.metric, f.case) for f in check.findings} == {
        ("seconds", case),
        ("first_s", case),
        ("peak_bytes", case),
        ("import_s", "arbench"),
        ("first_s", "arbench"),
    }
    assert [one.path for one in check.versions][1] == str(repository)
    assert [one.commit is None for one in check.versions] == [False, True]
    assert [f.metric for f in check.of("undecided")][:1] == ["seconds"]
    (peak,) = (f for f in check.findings if f.metric == "peak_bytes")
    assert (peak.outcome, peak.change) == ("same", 0.0)
    assert len(check.instances) == 2
    assert all(one["case"] == case for one in check.instances)
    assert all(one["before_s"] > 0 and one["ratio"] > 0 for one in check.instances)
    assert check.environment["versions"]["torch"]
    assert (tmp_path / "junit.xml").exists()
    assert list(scratch.iterdir()) == []


def test_a_model_of_your_own_repository(
    tmp_path: Path,
    answer: Callable[..., Any],
    committed: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both trees use the installed package, and each its own model: one preset is new."""
    monkeypatch.setattr(alone, "PAIRS", (1, 1))
    mine = tmp_path / "mine"
    mine.mkdir()
    text = (
        "from arbench.models.wavenet import WaveNet\n\n\nclass Mine(WaveNet):\n"
        "    presets = {'tiny': WaveNet.presets['tiny']}\n    default_preset = 'tiny'\n"
    )
    (mine / "mine.py").write_text(text)
    committed(mine)
    (mine / "mine.py").write_text(text + "    presets['other'] = presets['tiny']\n")
    monkeypatch.chdir(mine)
    models = [word for preset in ("tiny", "other") for word in ("--model", f"mine.py:Mine:{preset}")]
    words = ["--against", "HEAD", *models, "--op", "sample", "--method", "cached", "--n", "8", *BRIEF, "--json"]
    found = answer("check", *words)
    assert found.out, found.err
    findings = msgspec.json.decode(found.out, type=Check).findings
    assert {one.model: one.outcome for one in findings if one.metric in ("seconds", "case")} == {
        "mine.Mine:tiny": "undecided",
        "mine.py:Mine:other": "added",
    }


def test_a_killed_check_leaves_nothing_behind(repository: Path, scratch: Path, git: Callable[..., str]) -> None:
    (repository / ".git" / "info" / "exclude").write_text("__pycache__/\n")
    kept = git(repository, "status", "--porcelain"), sorted(os.listdir(repository / ".git"))
    with started(repository, "--against", "HEAD", *SMALL, "--processes", "2", scratch=scratch) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("timing"):
            assert process.poll() is None
        children = []
        while len(children) < 3:  # two with the versions, and one that waits to clean up
            assert process.poll() is None
            children = psutil.Process(process.pid).children(recursive=True)
        assert list(scratch.iterdir())
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 20
    while (list(scratch.iterdir()) or any(map(alive, children))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    assert list(scratch.iterdir()) == []
    assert (git(repository, "status", "--porcelain"), sorted(os.listdir(repository / ".git"))) == kept
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""Copies of this tree, and a repository of one, to be compared with each other."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy_of_this_tree(tmp_path: Path) -> Callable[..., Path]:
    """Copies the package into a folder; ``more`` is added to the file of WaveNet."""

    def copied(name: str, more: str = "") -> Path:
        root = tmp_path / name
        nothing = shutil.ignore_patterns("__pycache__", "kernels")
        shutil.copytree(ROOT / "arbench", root / "arbench", ignore=nothing)
        shutil.copytree(
            ROOT / "kernels", root / "arbench" / "kernels", ignore=shutil.ignore_patterns("__pycache__")
        )
        with (root / "arbench" / "models" / "wavenet.py").open("a") as file:
            file.write(more)
        return root

    return copied


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Runs git in a folder, as somebody."""

    def run(folder: Path, *words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def committed(git: Callable[..., str]) -> Callable[[Path], Path]:
    """Makes a repository with one commit of a folder."""

    def made(root: Path) -> Path:
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "first")
        return root

    return made

"""The two versions of a check as folders: a commit, a folder, a wheel, or another environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import arbench
from arbench import git

_WHERE = """
import importlib.metadata as m, json, os, sys, arbench
print(json.dumps([os.path.dirname(os.path.dirname(os.path.abspath(arbench.__file__))), sys.version.split()[0],
                  m.version("torch")]))
"""
_JANITOR = """
import shutil, sys, time
sys.stdin.read()
for _ in range(50):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    try:
        open(sys.argv[1]).close()
    except FileNotFoundError:
        break
    except OSError:
        pass
    time.sleep(0.1)
"""


class TreeError(Exception):
    """A version that cannot be had; the message is one line for the user."""


@dataclass(frozen=True)
class Tree:
    """A version on disk.

    Args:
        label: what the user knows it as.
        root: folder that is put first on the path.
        place: folder in it that stands for the one where the command was given: models in files are looked
            for there.
        python: interpreter of its own environment, if it is not this one's.
    """

    label: str
    root: Path
    place: Path
    python: str | None = None

    @property
    def has_package(self) -> bool:
        """Whether it brings the package; otherwise its models run on what is installed."""
        return any((self.root / sub / "arbench" / "__init__.py").exists() for sub in ("", "src"))


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that is removed even if this process is killed: another one waits for that."""
    folder = Path(tempfile.mkdtemp(prefix="arbench-check-"))
    janitor = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _JANITOR, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        assert janitor.stdin is not None
        janitor.stdin.close()
        janitor.wait()


def find(spec: str, folder: Path, cwd: Path | None = None) -> Tree:
    """The version that a user names.

    Args:
        spec: a git commit, branch or tag of the repository around ``cwd``; or the path of a folder with the
            sources, of a wheel, of an environment (its folder or its interpreter).
        folder: where to unpack.
        cwd: where the command was given.

    Raises:
        TreeError: there is no such version.
    """
    cwd = cwd or Path.cwd()
    if (commit := git.resolve(cwd, spec)) is not None:
        return _archived(spec, commit, folder, cwd)
    path = (cwd / spec).expanduser()
    if path.suffix == ".whl" and path.is_file():
        return _unpacked(path, folder)
    python = path / "bin" / "python" if path.is_dir() else path
    if python.name.startswith("python") and python.is_file() and os.access(python, os.X_OK):
        return _environment(spec, python)
    if spec and path.is_dir():
        return Tree(spec, path.resolve(), path.resolve())
    where = "" if git.toplevel(cwd) else f" ({cwd} is in no git repository)"
    raise TreeError(f"'{spec}' is no commit here{where}, and no folder, wheel or environment either")


def current(cwd: Path | None = None) -> Tree:
    """What is checked by default: the repository around ``cwd`` as it stands, or what is installed."""
    cwd = cwd or Path.cwd()
    if (top := git.toplevel(cwd)) is not None:
        return Tree("the working tree", top, cwd)
    root = Path(arbench.__file__).resolve().parents[1]
    return Tree(f"installed arbench {version('arbench')}", root, cwd)


def _archived(spec: str, commit: str, folder: Path, cwd: Path) -> Tree:
    """The sources of a commit, without a worktree that a killed process could leave behind."""
    top = git.toplevel(cwd)
    if top is None:
        raise TreeError(f"the repository of '{spec}' has no working tree to compare with")
    root = folder / f"commit-{commit[:12]}"
    if not root.exists():
        root.mkdir()
        try:
            git.archive(top, commit, folder / "sources.tar")
            with tarfile.open(folder / "sources.tar") as sources:
                sources.extractall(root, filter="tar")
        except (git.GitError, OSError, tarfile.TarError) as error:
            raise TreeError(f"the sources of '{spec}' cannot be unpacked ({error})") from None
    label = spec if commit.startswith(spec) else f"{spec} ({commit[:12]})"
    return Tree(label, root, root / cwd.resolve().relative_to(top))


def _unpacked(path: Path, folder: Path) -> Tree:
    root = Path(tempfile.mkdtemp(prefix=f"{path.stem}-", dir=folder))
    try:
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(root)
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise TreeError(f"{path}: is no wheel ({error})") from None
    tree = Tree(path.name, root, root)
    if not tree.has_package:
        raise TreeError(f"{path}: holds no package arbench")
    return tree


def _environment(spec: str, python: Path) -> Tree:
    """Where an interpreter finds the package. One with our own Python and torch need not be run."""
    try:
        asked = subprocess.run([str(python), "-c", _WHERE], capture_output=True, text=True, timeout=120, cwd="/")
        root, python_version, torch_version = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        raise TreeError(f"'{spec}' has no arbench to compare with") from None
    same = (python_version, torch_version) == (sys.version.split()[0], version("torch"))
    return Tree(spec, Path(root), Path(root), None if same else str(python.absolute()))

"""Versions of a check as source trees: from a commit, a folder, a wheel or another environment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
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
from arbench.findings import Version

_NO_SOURCES = ("__pycache__", "site-packages", "dist-packages", "node_modules", "build")
"""Folders whose files are not part of a version."""
_WHERE = """
import importlib.metadata as m, json, os, sys, arbench
print(json.dumps([os.path.dirname(os.path.dirname(os.path.abspath(arbench.__file__))), sys.version.split()[0],
                  m.version("torch")]))
"""
_PREFIX, _OWNED = "arbench-check-", ".owned"
"""Beginning of the name of a check's folder, and the file in it that the living check has locked."""
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
    """Failure to find or unpack a version; the message is one line for the user."""


@dataclass(frozen=True)
class Tree:
    """Version on disk.

    Args:
        label: name for the user.
        root: folder to put first on the import path.
        place: its counterpart of the current folder, to which paths of models in files are relative.
        python: interpreter of its own environment, where that differs from this one's.
        commit: full hash, where it is the sources of a commit.
    """

    label: str
    root: Path
    place: Path
    python: str | None = None
    commit: str | None = None

    @property
    def has_package(self) -> bool:
        """True if the tree contains the package; otherwise its models run on the installed one."""
        return self._package is not None

    @property
    def _package(self) -> Path | None:
        places = (self.root / sub / "arbench" for sub in ("", "src"))
        return next((place for place in places if (place / "__init__.py").exists()), None)

    def facts(self) -> Version:
        """Return what identifies the version: its name, place, commit, and a hash of its Python sources."""
        known, seen = hashlib.sha256(), set[str]()
        for folder, folders, files in os.walk(self._package or self.root, followlinks=True):  # kernels may be a link
            if (real := os.path.realpath(folder)) in seen:
                folders.clear()  # a link that leads back
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if name not in _NO_SOURCES and not name.startswith("."))
            for file in sorted(name for name in files if name.endswith(".py")):
                path = Path(folder, file)
                known.update(f"{path.relative_to(self._package or self.root)}\0".encode(errors="surrogateescape"))
                known.update(hashlib.sha256(path.read_bytes()).digest())
        return Version(self.label, str(self.root), self.commit, known.hexdigest()[:16])


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder that a second process removes even if this one is killed.

    If both are killed, the next check removes it.
    """
    sweep(Path(tempfile.gettempdir()))
    folder, owner = _owned()
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
        os.close(owner)


def _owned() -> tuple[Path, int]:
    """Return a new folder and the file that locks it, which is freed with this process, however it ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        owner = os.open(folder / _OWNED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX)
        if (folder / _OWNED).exists():
            return folder, owner
        os.close(owner)  # another check swept the folder before it was locked


def sweep(place: Path) -> None:
    """Remove the folders of killed checks; those of a living one, and of other users, stay.

    Args:
        place: folder of temporary files.
    """
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            owner = os.open(folder / _OWNED, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # another user's, or not locked yet
            continue
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(owner)


def find(spec: str, folder: Path, cwd: Path | None = None) -> Tree:
    """Return the version that a user names.

    Args:
        spec: a commit, branch or tag of the repository around ``cwd``; or the path of a folder with sources, of a
            wheel, or of an environment (its folder or its interpreter).
        folder: folder to unpack into.
        cwd: folder of the command; by default the current one.

    Raises:
        TreeError: there is no such version.
    """
    cwd = cwd or Path.cwd()
    if (commit := git.resolve(cwd, spec)) is not None:
        return _exported(spec, commit, folder, cwd)
    path = (cwd / spec).expanduser()
    if path.suffix == ".whl" and path.is_file():
        return _unpacked(path, folder)
    python = path / "bin" / "python" if path.is_dir() else path
    if python.name.startswith("python") and python.is_file() and os.access(python, os.X_OK):
        return _environment(spec, python)
    if spec and path.is_dir():
        return Tree(spec, path.resolve(), path.resolve())
    where = "" if _toplevel(cwd) else f" ({cwd} is not in a git repository)"
    raise TreeError(f"'{spec}' is not a commit here{where}, nor a folder, wheel or environment; name one of these")


def current(cwd: Path | None = None) -> Tree:
    """Return the version to check by default: the working tree around ``cwd``, or else the installed package.

    Raises:
        TreeError: git refuses to read the repository around ``cwd``.
    """
    cwd = cwd or Path.cwd()
    if (top := _toplevel(cwd)) is not None:
        return Tree("the working tree", top, cwd)
    root = Path(arbench.__file__).resolve().parents[1]
    return Tree(f"installed arbench {version('arbench')}", root, cwd)


def _toplevel(folder: Path) -> Path | None:
    """Return the root of the checkout that contains a folder, or None. Raises TreeError if git refuses to read it."""
    try:
        return git.toplevel(folder)
    except git.GitError as error:
        raise TreeError(str(error)) from None


def _exported(spec: str, commit: str, folder: Path, cwd: Path) -> Tree:
    """Return the sources of a commit."""
    top = _toplevel(cwd)
    if top is None:
        raise TreeError(f"'{spec}': a bare repository has no working tree to compare with; run this in a checkout")
    root = folder / f"commit-{commit[:12]}"
    if not root.exists():
        try:
            root.mkdir()
            git.export(top, commit, root)
        except git.GitError as error:
            raise TreeError(f"'{spec}': {error}") from None
        except OSError as error:
            raise TreeError(
                f"'{spec}': its sources cannot be written ({error}); check the free space in {tempfile.gettempdir()}"
            ) from None
    label = spec if commit.startswith(spec) else f"{spec} ({commit[:12]})"
    return Tree(label, root, root / cwd.resolve().relative_to(top), commit=commit)


def _unpacked(path: Path, folder: Path) -> Tree:
    root = Path(tempfile.mkdtemp(prefix=f"{path.stem}-", dir=folder))
    try:
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(root)
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise TreeError(f"{path}: not a wheel ({error}); build one with: pip wheel .") from None
    tree = Tree(path.name, root, root)
    if not tree.has_package:
        raise TreeError(f"{path}: does not contain the package arbench; name a wheel of arbench")
    return tree


def _environment(spec: str, python: Path) -> Tree:
    """Return the package that an interpreter imports; it runs on our interpreter if Python and torch are the same."""
    try:
        found = subprocess.run([str(python), "-c", _WHERE], capture_output=True, text=True, timeout=120, cwd="/")
        root, python_version, torch_version = json.loads(found.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        raise TreeError(f"'{spec}': this environment has no arbench to compare with; install one there") from None
    same = (python_version, torch_version) == (sys.version.split()[0], version("torch"))
    return Tree(spec, Path(root), Path(root), None if same else str(python.absolute()))

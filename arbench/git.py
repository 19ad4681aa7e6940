"""Git commands on a named repository: the only place in the package that starts git."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

TIMEOUT_S = 60.0
"""Seconds that a git command may take by default."""
REVISION_S = 10.0
"""Seconds that each git command of ``revision`` may take: no result depends on it."""
LOCATIONS = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""Variables that git sets within a hook and that point its commands at another repository than the named one."""
_SUBMODULE = "160000 commit "
"""Mode and type of a submodule in the tree of a commit."""
_HASH = re.compile(r"[0-9a-f]{7,40}")


class GitError(Exception):
    """Failure of a git command; the message is one line for the user."""


@dataclass(frozen=True)
class Commit:
    """Position of a commit in the history of the requested commits."""

    rank: int
    """Position in topological order: parents before children."""
    time: float
    """Commit time, Unix seconds."""


@dataclass(frozen=True)
class Revision:
    """State of a checkout."""

    name: str
    """12 digits of the commit's hash, with '+' where tracked files were changed."""
    time: str
    """Commit time, ISO 8601."""


def run(repo: Path, *words: str, stdin: str = "", timeout: float = TIMEOUT_S) -> str:
    """Return what a git command prints.

    Args:
        repo: a folder in a checkout, or a bare repository; variables set by a hook do not change it.
        words: the command and its arguments.
        stdin: text for its standard input.
        timeout: seconds it may take.

    Raises:
        GitError: git is missing, takes longer than ``timeout``, or exits with an error.
    """
    done = _completed(repo, *words, stdin=stdin, timeout=timeout)
    if done.returncode:
        raise GitError(f"{repo}: git cannot read it ({_why(done)}); name a git repository")
    return done.stdout.strip()


def _completed(
    repo: Path, *words: str, stdin: str = "", timeout: float = TIMEOUT_S, variables: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Return a git command that exited, with or without an error, and got further variables in its environment.

    Raises GitError as ``run`` does.
    """
    try:
        return subprocess.run(
            ["git", "-C", str(repo), *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            errors="replace",
            env={name: value for name, value in os.environ.items() if name not in LOCATIONS} | dict(variables or {}),
        )
    except subprocess.TimeoutExpired:
        raise GitError(
            f"{repo}: git {words[0]} takes longer than {timeout:g} s; check that the disk of the repository responds"
        ) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise GitError(f"git does not run ({error}); install git or check PATH") from None


def _why(done: CompletedProcess[str]) -> str:
    """Return on one line why a git command failed."""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]


def toplevel(folder: Path) -> Path | None:
    """Return the root of the checkout that contains a folder, or None outside a checkout.

    Raises:
        GitError: there is a checkout, but git is missing or refuses to read it, for example because of its owner.
    """
    try:
        return Path(run(folder, "rev-parse", "--show-toplevel")).resolve()
    except GitError:
        place = folder.resolve()
        if any((one / ".git").exists() for one in (place, *place.parents)):
            raise
        return None


def resolve(repo: Path, name: str) -> str | None:
    """Return the full hash of the commit that a hash, branch or tag names, or None if there is no such commit."""
    try:
        return run(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except GitError:
        return None


def export(repo: Path, commit: str, folder: Path) -> None:
    """Write all files of a commit into a folder, as a checkout would contain them, submodules included.

    ``git archive`` would leave out files with the attribute ``export-ignore``; a worktree would outlive a killed
    process. The repository is left as it is.

    Args:
        repo: the root of a checkout.
        commit: a commit of it.
        folder: an empty folder.

    Raises:
        GitError: git fails, or the commit of a submodule is not there.
    """
    index = folder.parent / f"{folder.name}.index"
    variables = {"GIT_INDEX_FILE": str(index)}
    try:
        for words in (("read-tree", commit), ("checkout-index", "--all", "--force", f"--prefix={folder}/")):
            done = _completed(repo, *words, variables=variables)
            if done.returncode:
                raise GitError(
                    f"{repo}: git {words[0]} failed ({_why(done)}); check the free disk space, and run git fsck"
                )
    finally:
        index.unlink(missing_ok=True)
    for line in run(repo, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        entry, _, path = line.partition("\t")
        if entry.startswith(_SUBMODULE):
            _export_submodule(repo / path, entry.split()[2], folder / path)


def _export_submodule(repo: Path, commit: str, folder: Path) -> None:
    if not (repo / ".git").exists() or resolve(repo, commit) is None:
        raise GitError(f"{repo}: the submodule lacks commit {commit[:12]}; run git submodule update --init --recursive")
    folder.mkdir(parents=True, exist_ok=True)
    export(repo, commit, folder)


def ordered(repo: Path, names: Iterable[str]) -> dict[str, Commit]:
    """Return the position of each named commit that the repository contains.

    Args:
        repo: as for ``run``.
        names: full or abbreviated hashes; anything else is left out, and so are unknown and ambiguous ones.

    Raises:
        GitError: as for ``run``.
    """
    hashes = sorted({name for name in names if _HASH.fullmatch(name)})
    found = run(repo, "cat-file", "--batch-check", stdin="".join(f"{name}^{{commit}}\n" for name in hashes))
    known = {
        name: line.split()[0]
        for name, line in zip(hashes, found.splitlines(), strict=True)
        if line.split()[1:2] == ["commit"]
    }
    if not known:
        return {}
    words = ("--topo-order", "--reverse", "--format=%H %ct", "--no-show-signature", "--stdin")
    history = run(repo, "log", *words, stdin="\n".join(known.values()) + "\n")
    commits = {}
    for rank, line in enumerate(history.splitlines()):
        full, time = line.split()
        commits[full] = Commit(rank, float(time))
    return {name: commits[full] for name, full in known.items()}


def revision(file: Path = Path(__file__)) -> str | None:
    """Return the commit of the checkout that tracks a source file.

    Args:
        file: a file of the package; this one by default.

    Returns:
        12 digits of the hash, with '+' where tracked files were changed; None outside a checkout.
    """
    try:
        run(file.parent, "ls-files", "--error-unmatch", str(file), timeout=REVISION_S)
    except GitError:
        return None
    found = revision_around(file.parent)
    return found.name if found else None


def revision_around(place: Path) -> Revision | None:
    """Return the state of the checkout that contains a file or a folder.

    Args:
        place: the file or folder; a file that the checkout does not track yet counts as a change.

    Returns:
        The state; None outside a checkout, before the first commit, and where git is missing or refuses.
    """
    folder = place if place.is_dir() else place.parent
    try:
        words = ("describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")
        name = run(folder, *words, timeout=REVISION_S)
        time = run(folder, "log", "-1", "--format=%cI", "--no-show-signature", timeout=REVISION_S)
        if not place.is_dir():
            words = ("status", "--porcelain", "--untracked-files=all", "--", place.name)
            changed = run(folder, *words, timeout=REVISION_S)
            name = f"{name.removesuffix('+')}+" if changed else name
        return Revision(name, time)
    except GitError:
        return None


def ignores(place: Path) -> bool:
    """Return whether a checkout contains a file or folder but ignores it, as it does an environment of packages."""
    try:
        run(place.parent, "check-ignore", "--quiet", "--", str(place), timeout=REVISION_S)
    except GitError:
        return False
    return True


def is_shallow(repo: Path) -> bool:
    """Return whether a repository lacks the beginning of its history. Raises GitError as ``run`` does."""
    return run(repo, "rev-parse", "--is-shallow-repository") == "true"

"""The order of commits, asked of git."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"}
"""Variables, set within a hook, that name another repository than the one that is asked."""
_NAME = re.compile(r"[0-9a-f]{7,40}")


class CommitsError(Exception):
    """The repository cannot be asked; the message is one line for the user."""


@dataclass(frozen=True)
class Commit:
    """Where a commit stands among those asked for and all before them."""

    rank: int
    """Parents before children."""
    time: float
    """When it was committed, Unix time."""


def ordered(repo: Path, names: Iterable[str]) -> dict[str, Commit]:
    """Those of ``names`` that the repository knows, in topological order.

    Args:
        repo: a checkout, or a bare repository.
        names: full or abbreviated hashes; anything else is left out, as is what is unknown or ambiguous.

    Raises:
        CommitsError: no git here, or no repository there.
    """
    asked = sorted({name for name in names if _NAME.fullmatch(name)})
    found = _git(repo, "cat-file", "--batch-check", said="".join(f"{name}^{{commit}}\n" for name in asked))
    known = {
        name: line.split()[0]
        for name, line in zip(asked, found.splitlines(), strict=True)
        if line.split()[1:2] == ["commit"]
    }
    if not known:
        return {}
    history = _git(
        repo,
        "log",
        "--topo-order",
        "--reverse",
        "--format=%H %ct",
        "--no-show-signature",
        "--stdin",
        said="\n".join(known.values()) + "\n",
    )
    commits = {}
    for rank, line in enumerate(history.splitlines()):
        full, time = line.split()
        commits[full] = Commit(rank, float(time))
    return {name: commits[full] for name, full in known.items()}


def _git(repo: Path, *words: str, said: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(repo), *words],
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            errors="replace",
            env={k: v for k, v in os.environ.items() if k not in _ELSEWHERE},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CommitsError(f"git cannot be asked: {error}") from None
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no answer"])[0]
        raise CommitsError(f"{repo}: git cannot read it ({why})")
    return done.stdout

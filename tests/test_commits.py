"""The order of commits, in repositories made for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from arbench.commits import CommitsError, ordered


def git(repo: Path, *words: str, at: int = 0) -> str:
    when = f"{1_700_000_000 + at} +0000"
    environment = os.environ | {
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_DATE": when,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    done = subprocess.run(["git", "-C", str(repo), *words], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def committed(repo: Path, at: int) -> str:
    git(repo, "commit", "-q", "--allow-empty", "-m", f"at {at}", at=at)
    return git(repo, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def test_parents_come_before_children_whatever_their_dates(repo: Path) -> None:
    made = [committed(repo, at) for at in (300, 100, 200)]
    found = ordered(repo, [made[2][:12], made[0][:12], made[1]])
    assert sorted(found, key=lambda name: found[name].rank) == [made[0][:12], made[1], made[2][:12]]
    assert [found[name].time - 1_700_000_000 for name in (made[0][:12], made[1])] == [300, 100]


def test_commits_of_two_branches_are_known_and_those_between_count(repo: Path) -> None:
    base, middle, top = (committed(repo, at) for at in (1, 2, 3))
    git(repo, "checkout", "-q", "-b", "side", base)
    side = committed(repo, 4)
    found = ordered(repo, [base, top, side])
    assert found[base].rank == 0
    assert {found[top].rank, found[side].rank} <= {1, 2, 3}
    assert middle not in found


def test_what_is_no_commit_is_left_out(repo: Path) -> None:
    made = committed(repo, 1)
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    names = [made[:12], tree[:12], "0" * 12, "--all", "main", "", f"{made[:12]}\n--all", f"{made[:11]}+"]
    assert list(ordered(repo, names)) == [made[:12]]
    assert ordered(repo, []) == {}


def test_the_repository_that_is_named_is_asked_within_a_hook_too(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = committed(repo, 1)
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert list(ordered(repo, [made])) == [made]


def test_a_place_without_a_repository_is_said_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommitsError, match="git cannot read it") as said:
        ordered(tmp_path / "none", ["0" * 12])
    assert "\n" not in str(said.value)
    with pytest.raises(CommitsError):
        ordered(Path("/"), [])

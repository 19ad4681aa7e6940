"""Git commands on repositories made for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from arbench.git import (
    GitError,
    Revision,
    export,
    ignores,
    is_shallow,
    ordered,
    resolve,
    revision,
    revision_around,
    run,
    toplevel,
)


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


@pytest.mark.parametrize("alone", [True, False])
def test_every_function_reads_the_named_repository_within_a_hook(
    alone: bool, repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables that git sets within a hook, by its own list, point at another, empty repository."""
    local = git(repo, "rev-parse", "--local-env-vars").split()
    names = ["GIT_DIR"] if alone else [name for name in local if not name.startswith("GIT_CONFIG")]
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q")
    places = {"GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git" / "index"}
    places["GIT_OBJECT_DIRECTORY"] = other / ".git" / "objects"
    module = repo / "module.py"
    module.write_text("VALUE = 1\n")
    git(repo, "add", "module.py")
    made = committed(repo, 1)
    for name in names:
        monkeypatch.setenv(name, str(places.get(name, other / ".git")))
    assert run(repo, "rev-parse", "HEAD") == made
    assert toplevel(repo) == repo.resolve()
    assert resolve(repo, "main") == made
    assert list(ordered(repo, [made])) == [made]
    assert revision(module) == made[:12]
    export(repo, made, other / "sources")
    assert [path.name for path in (other / "sources").iterdir()] == ["module.py"]


def test_a_revision_marks_changed_files_and_is_none_outside_a_checkout(repo: Path, tmp_path: Path) -> None:
    module = repo / "module.py"
    module.write_text("VALUE = 1\n")
    assert revision(module) is None
    git(repo, "add", "module.py")
    made = committed(repo, 1)
    module.write_text("VALUE = 2\n")
    assert revision(module) == f"{made[:12]}+"
    (repo / "untracked.py").write_text("")
    assert revision(repo / "untracked.py") is None
    assert revision(Path("/no/such/file.py")) is None


def test_the_state_around_a_model_of_ones_own(repo: Path) -> None:
    model = repo / "inner" / "model.py"
    model.parent.mkdir()
    model.write_text("")
    assert revision_around(model) is None  # there is no commit
    (repo / ".gitignore").write_text(".venv\n")
    git(repo, "add", ".gitignore")
    made = committed(repo, 1)
    when = "2023-11-14T22:13:21+00:00"  # 1_700_000_001 seconds
    assert revision_around(model) == Revision(f"{made[:12]}+", when)  # not committed yet
    assert revision_around(model.parent) == revision_around(repo) == Revision(made[:12], when)
    git(repo, "add", "inner")
    again = committed(repo, 2)
    assert revision_around(model) == Revision(again[:12], "2023-11-14T22:13:22+00:00")
    installed = repo / ".venv" / "lib" / "package"
    installed.mkdir(parents=True)
    (installed / "model.py").write_text("")
    assert ignores(installed)
    assert ignores(installed / "model.py")
    assert not ignores(model)
    assert not ignores(Path("/no/such/file.py"))
    assert revision_around(Path("/no/such/file.py")) is None


def test_a_shallow_clone_is_known(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for at in (1, 2):
        committed(repo, at)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", "--depth", "1", repo.as_uri(), str(clone / "it"))
    assert (is_shallow(repo), is_shallow(clone / "it")) == (False, True)


def test_a_place_without_a_repository_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(GitError, match=r"git cannot read it \(.*\); name a git repository$") as said:
        ordered(tmp_path / "none", ["0" * 12])
    assert "\n" not in str(said.value)
    with pytest.raises(GitError):
        ordered(Path("/"), [])
    assert toplevel(Path("/")) is None
    assert resolve(Path("/"), "main") is None


def test_a_failing_export_does_not_blame_the_repository(repo: Path, tmp_path: Path) -> None:
    made = committed(repo, 1)
    with pytest.raises(
        GitError, match=r"git read-tree failed \(.*\); check the free disk space, and run git fsck$"
    ) as said:
        export(repo, made, tmp_path / "none" / "sources")
    assert "name a git repository" not in str(said.value)


def test_files_of_a_commit_are_those_of_a_checkout(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever git archive would leave out or expand, a changed index, and line ends of this repository."""
    (repo / ".gitattributes").write_text("hidden.py export-ignore\nstamp.py export-subst\n*.txt text eol=crlf\n")
    for name, text in {"hidden.py": "A = 1\n", "stamp.py": "# $Format:%H$\n", "lines.txt": "a\nb\n"}.items():
        (repo / name).write_text(text)
    (repo / "link.py").symlink_to("hidden.py")
    git(repo, "add", "-A")
    made = committed(repo, 1)
    (repo / "hidden.py").write_text("A = 2\n")
    git(repo, "add", "hidden.py")
    place, before = tmp_path_factory.mktemp("place"), git(repo, "status", "--porcelain")
    export(repo, made, place / "sources")
    found = {path.name: path.read_bytes() for path in (place / "sources").iterdir()}
    assert found.keys() == {".gitattributes", "hidden.py", "stamp.py", "lines.txt", "link.py"}
    assert found["hidden.py"] == found["link.py"] == b"A = 1\n"
    assert found["stamp.py"] == b"# $Format:%H$\n"
    assert found["lines.txt"] == b"a\r\nb\r\n"
    assert git(repo, "status", "--porcelain") == before
    assert [path.name for path in place.iterdir() if "index" in path.name] == []


def test_submodules_are_exported_or_named(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place, part = tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("part")
    git(part, "init", "-q", "-b", "main")
    (part / "inner.py").write_text("B = 1\n")
    git(part, "add", "inner.py")
    committed(part, 1)
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "lib/part")
    made = committed(repo, 2)
    export(repo, made, place / "sources")
    assert (place / "sources" / "lib" / "part" / "inner.py").read_text() == "B = 1\n"
    git(repo, "submodule", "--quiet", "deinit", "--force", "--all")
    shutil.rmtree(repo / "lib")
    with pytest.raises(GitError, match=r"lib/part: the submodule lacks commit [0-9a-f]{12}; run git submodule update"):
        export(repo, made, place / "others")


def test_a_checkout_that_git_refuses_is_not_taken_for_none(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(repo, 1)
    (repo / "inside").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        with pytest.raises(GitError, match="dubious ownership"):
            toplevel(repo / "inside")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="install git or check PATH"):
        toplevel(repo / "inside")
    assert toplevel(Path("/")) is None


def test_a_git_that_hangs_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError) as said:
        run(tmp_path, "status", "--short", timeout=0.05)
    assert str(said.value) == (
        f"{tmp_path}: git status takes longer than 0.05 s; check that the disk of the repository responds"
    )
    monkeypatch.setattr("arbench.git.REVISION_S", 0.05)
    assert revision(tmp_path / "module.py") is None


def test_a_missing_git_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match=r"^git does not run \(.*\); install git or check PATH$"):
        run(tmp_path, "status")

"""A version is found by commit, folder, wheel or environment, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.gate.timing.trees import Tree, TreeError, current, find, scratch

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path, committed: Callable[[Path], Path], git: Git) -> Path:
    """Return a repository with two commits, of VALUE 1 and 2 (tag v2); the working tree has 3."""
    root = tmp_path / "repository"
    (root / "arbench").mkdir(parents=True)
    (root / "models").mkdir()
    module = root / "arbench" / "__init__.py"
    (root / "models" / "mine.py").write_text("")
    module.write_text("VALUE = 1\n")
    committed(root)
    module.write_text("VALUE = 2\n")
    git(root, "commit", "-q", "-a", "-m", "second")
    git(root, "tag", "v2")
    module.write_text("VALUE = 3\n")
    return root


def value(tree: Tree) -> str:
    return (tree.root / "arbench" / "__init__.py").read_text().split()[-1]


def test_commits_tags_and_branches_are_found(repository: Path, tmp_path: Path, git: Git) -> None:
    second = git(repository, "rev-parse", "HEAD")
    found = {spec: find(spec, tmp_path, repository) for spec in ("v2", "HEAD~1", "main", second[:7])}
    assert {spec: value(tree) for spec, tree in found.items()} == {
        "v2": "2",
        "HEAD~1": "1",
        "main": "2",
        second[:7]: "2",
    }
    assert found["v2"].label == f"v2 ({second[:12]})"
    assert found[second[:7]].label == second[:7]
    assert all(tree.has_package and tree.python is None for tree in found.values())


def test_the_repository_is_left_as_it_was(repository: Path, tmp_path: Path, git: Git) -> None:
    before = git(repository, "status", "--porcelain"), sorted(os.listdir(repository / ".git"))
    find("v2", tmp_path, repository)
    assert (git(repository, "status", "--porcelain"), sorted(os.listdir(repository / ".git"))) == before
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_models_in_files_are_looked_for_where_the_command_was_given(repository: Path, tmp_path: Path) -> None:
    found = find("v2", tmp_path, repository / "models")
    assert found.place == found.root / "models"
    assert (found.place / "mine.py").exists()


def test_the_working_tree_is_what_is_checked(repository: Path, tmp_path: Path) -> None:
    found = current(repository / "models")
    assert (found.label, found.root, value(found)) == ("the working tree", repository, "3")
    assert found.place == repository / "models"
    outside = current(tmp_path)
    assert outside.has_package
    assert outside.label.startswith("installed arbench ")


def test_a_repository_that_git_refuses_is_named_and_nothing_else_is_checked(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for look in (lambda: current(repository), lambda: find("v2", tmp_path, repository)):
        with pytest.raises(TreeError, match="dubious ownership"):
            look()
    assert value(find(str(repository), tmp_path, repository)) == "3", "a folder needs no git"


def test_a_version_is_identified_by_place_commit_and_sources(repository: Path, tmp_path: Path, git: Git) -> None:
    old, new, folder = find("HEAD~1", tmp_path, repository), find("v2", tmp_path, repository), current(repository)
    facts = [tree.facts() for tree in (old, new, folder)]
    assert [one.commit for one in facts] == [
        git(repository, "rev-parse", "HEAD~1"),
        git(repository, "rev-parse", "v2"),
        None,
    ]
    assert len({one.sources for one in facts}) == 3
    assert facts[2].path == str(repository)
    (repository / "arbench" / "__init__.py").write_text("VALUE = 2\n")
    (repository / "arbench" / "__pycache__").mkdir()
    (repository / "arbench" / "__pycache__" / "made.py").touch()
    (repository / "arbench" / "back").symlink_to(repository / "arbench")
    assert folder.facts().sources == facts[1].sources


def test_a_folder_is_a_version(repository: Path, tmp_path: Path) -> None:
    assert value(find(str(repository), tmp_path, tmp_path)) == "3"
    assert not find(str(repository / "models"), tmp_path, tmp_path).has_package


def test_a_wheel_is_a_version(tmp_path: Path) -> None:
    path = tmp_path / "arbench-9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("arbench/__init__.py", "VALUE = 9\n")
    assert value(find(str(path), tmp_path, tmp_path)) == "9"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("other/__init__.py", "")
    with pytest.raises(TreeError, match=r"does not contain the package arbench; name a wheel of arbench$"):
        find(str(path), tmp_path, tmp_path)
    path.write_bytes(b"no zip")
    with pytest.raises(TreeError, match="not a wheel"):
        find(str(path), tmp_path, tmp_path)


def test_an_environment_is_a_version(tmp_path: Path) -> None:
    """This environment: its interpreter is not needed, since Python and torch are the same."""
    found = find(sys.executable, tmp_path, tmp_path)
    assert found.has_package
    assert found.python is None


def test_an_environment_without_the_package_is_none(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(TreeError, match=r"has no arbench to compare with; install one there$"):
        find(str(tmp_path / "env"), tmp_path, tmp_path)


def test_another_torch_needs_its_own_interpreter(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho \'["/there", "3.11.0", "1.0"]\'\n')
    python.chmod(0o755)
    assert find(str(tmp_path / "env"), tmp_path, tmp_path) == Tree(
        str(tmp_path / "env"), Path("/there"), Path("/there"), str(python)
    )


@pytest.mark.parametrize("spec", ["no-such-thing", "--all", "HEAD~9", ""])
def test_what_is_no_version_is_refused(spec: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TreeError, match=f"^'{spec}' is not a commit here, nor a folder, wheel or environment; name one of these$"
    ):
        find(spec, tmp_path, repository)
    with pytest.raises(TreeError, match="is not in a git repository"):
        find(spec, tmp_path, tmp_path)


def test_folders_of_killed_checks_are_swept_and_those_of_living_ones_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, unlocked, other = (tmp_path / name for name in ("arbench-check-1", "arbench-check-2", "other"))
    for folder in (killed, unlocked, other):
        (folder / "commit").mkdir(parents=True)
    (killed / ".owned").touch()
    (other / ".owned").touch()
    with scratch() as first, scratch() as second:
        assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name, unlocked.name, other.name}
    assert {path.name for path in tmp_path.iterdir()} == {unlocked.name, other.name}


def test_the_scratch_folder_is_removed_with_its_owner(tmp_path: Path) -> None:
    with scratch() as folder:
        (folder / "file").touch()
    assert not folder.exists()


def test_the_scratch_folder_is_removed_when_its_owner_is_killed(tmp_path: Path) -> None:
    code = (
        "import time\nfrom arbench.gate.timing.trees import scratch\n"
        "with scratch() as folder:\n"
        "    (folder / 'file').touch()\n    print(folder, flush=True)\n    time.sleep(60)\n"
    )
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": root}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert folder.parent == tmp_path
        assert (folder / "file").exists()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []

"""The repository of a run is the one whose code it measures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from arbench.bench.case import KERNEL_SPEC, CaseKey
from arbench.bench.plan import Options, make_plan
from arbench.bench.provenance import measured_revision
from arbench.bench.recorder import new_run
from arbench.git import revision

CASE = CaseKey(
    spec="wavenet:tiny",
    model="wavenet",
    preset="tiny",
    op="sample",
    method="cached",
    backend="eager",
    device="cpu",
    dtype="float32",
    batch=1,
    n=8,
    element="audio sample",
    weights=1,
    exactness="pointwise",
)


def repository(folder: Path, *files: str, ignored: str = "nothing") -> str:
    """Make a repository with one commit of these files; return 12 digits of the commit."""
    for file in (*files, ".gitignore"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"{ignored}\n" if file == ".gitignore" else "")
    environment = {**os.environ, "GIT_COMMITTER_DATE": "2026-03-01T10:00:00+00:00", "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", folder, *words], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", folder.name)
    return git("rev-parse", "--short=12", "HEAD")


def found(*specs: str) -> str | None:
    state = measured_revision(msgspec.structs.replace(CASE, spec=spec) for spec in specs)
    return state and state.name


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_of_a_model_decides_then_the_current_folder(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, here = outside / "mine", outside / "here"
    of_mine, of_here = repository(mine, "sub/model.py"), repository(here, "other.py")
    spec = f"{mine}/sub/model.py:Model:tiny"
    assert found(spec) == found("wavenet:tiny", spec) == of_mine
    monkeypatch.chdir(here)
    assert found(spec) == of_mine
    assert found("wavenet:tiny") == found(KERNEL_SPEC) == of_here
    (outside / "loose.py").write_text("")
    assert found(f"{outside}/loose.py:Model:tiny") == of_here
    (mine / "new.py").write_text("")
    assert found(f"{mine}/new.py:Model:tiny") == f"{of_mine}+"
    assert found(spec, f"{mine}/new.py:Model:tiny") == f"{of_mine}+"
    (mine / "sub" / "model.py").write_text("CHANGED = 1\n")
    assert found(spec) == f"{of_mine}+"
    assert found(spec, f"{here}/other.py:Model:tiny") is None


def test_an_installed_package_is_not_in_the_repository_around_it(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, here = outside / "mine", outside / "here"
    of_mine = repository(mine, "measured_here/model.py", "env/installed_here/model.py", ignored="env")
    of_here = repository(here, "x")
    for name in ("measured_here", "env/installed_here"):
        (mine / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(mine))
    monkeypatch.syspath_prepend(str(mine / "env"))
    monkeypatch.chdir(here)
    assert found("measured_here.model:Model:tiny") == of_mine
    assert found("installed_here.model:Model:tiny") == of_here
    assert found("not_there.model:Model:tiny") == of_here
    assert not {"measured_here", "installed_here"} & sys.modules.keys()


def test_outside_of_any_repository_our_own_models_are_those_of_arbench(outside: Path) -> None:
    assert found("wavenet:tiny") == revision()
    (outside / "loose.py").write_text("")
    assert found(f"{outside}/loose.py:Model:tiny") is None


def test_a_run_records_it_with_the_time_of_the_commit(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repository(outside, "x")
    plan = make_plan(Options(models=["wavenet:tiny"], n=[8], methods=["cached"]))
    run = new_run(plan, {}, "2026-03-02T10:00:00+00:00", [], {})
    assert (run.git, run.committed_at) == (commit, "2026-03-01T10:00:00+00:00")
    again = msgspec.structs.replace(run, git=None, committed_at=None)
    assert b"committed_at" not in msgspec.json.encode(again)

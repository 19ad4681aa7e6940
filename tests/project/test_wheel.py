"""A wheel contains everything that the tree contains, and works with no checkout at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
USER = """\
from pathlib import Path

import arbench
from arbench.models import Claim
from arbench.results import read

reveal_type(arbench.measure("wavenet:tiny", n=[16, 32]))
reveal_type(read(Path("results.jsonl")).run.seed)
Claim(depth="N", work="N")
for chunk in arbench.stream("wavenet:nv", chunk="256"):
    Claim(depth=1, work="N")
arbench.measured
"""
"""A file of a user, with three mistakes."""
FOUND = """\
user.py:7: note: Revealed type is "arbench.api.measured.Measured"
user.py:8: note: Revealed type is "int"
user.py:10: error: Argument "chunk" to "stream" has incompatible type "str"; expected "int"  [arg-type]
user.py:11: error: Argument "depth" to "Claim" has incompatible type "int"; expected "str"  [arg-type]
user.py:12: error: Module has no attribute "measured"; maybe "measure"?  [attr-defined]
"""
CASES = ["--model", "wavenet:tiny", "--method", "parallel", "--method", "cached", "--n", "8,16"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no build folder is left in the checkout."""
    tree, out = tmp_path_factory.mktemp("tree") / "arbench", tmp_path_factory.mktemp("wheel")
    nothing = shutil.ignore_patterns("__pycache__", "*.egg-info")
    tree.mkdir()
    for name in ("arbench", "kernels"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=nothing)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(tree)], check=True)
    (found,) = out.glob("*.whl")
    return found


def test_it_contains_every_file_of_the_tree(wheel: Path) -> None:
    files = [file for name in ("arbench", "kernels") for file in (ROOT / name).rglob("*")]
    tree = {
        str(file.relative_to(ROOT) if file.is_relative_to(ROOT / "arbench") else "arbench" / file.relative_to(ROOT))
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }
    packed = {name for name in ZipFile(wheel).namelist() if not name.partition("/")[0].endswith(".dist-info")}
    assert packed == tree


def test_it_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Measure, render and check with what the wheel installs, from an empty folder."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def arbench(*words: str) -> str:
        start = "import sys, arbench.cli as cli; assert cli.__file__.startswith(sys.argv.pop(1)); "
        if words[0] == "run":
            start += (
                "from arbench.bench import runner; runner.limits = lambda *_: "
                "{'copy': [], 'read': [], 'matmul': {'float32': 1e6}, 'timer_s': 1e-7}; "
            )
        command = [sys.executable, "-P", "-c", f"{start}cli.main()", str(site), *words]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    assert "wavenet:tiny" in arbench("run", *CASES, "--rounds", "1", "--workers", "1", "--out", "run")
    assert (work / "run" / "report.html").stat().st_size > 0
    arbench("report", "run/results.jsonl", "--out", "page")
    assert (work / "page" / "report.html").stat().st_size > 0
    assert "4 unchanged" in arbench("check", "--baseline", "run")


def test_a_type_checker_sees_the_types_of_what_is_installed(wheel: Path, tmp_path: Path) -> None:
    """Check a user's file against an environment that has the wheel and nothing else: what is missing has any type."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    ZipFile(wheel).extractall(site)
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    python = str(environment / "bin" / "python")
    options = ["--python-executable", python, "--config-file=", "--ignore-missing-imports", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, "--cache-dir", str(tmp_path / "cache"), "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (FOUND, 1), done.stderr

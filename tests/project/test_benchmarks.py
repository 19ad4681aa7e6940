"""The suites of benchmarks/ run, with the cases of ``arbench run``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from arbench.bench.job import Job
from arbench.bench.kernels.plan import KernelOptions, make_kernel_plan
from arbench.bench.kernels.subject import NO_DEPTH, interpret
from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, make_plan
from arbench.gate.stored import read_stored
from arbench.results import COUNTERS

ROOT = Path(__file__).parents[2]
NAIVE = "test_case[wavenet:tiny/sample/naive/eager/cpu/float32/b1/n8]"


def pytest_process(*words: str, cwd: Path = ROOT) -> str:
    """Run the suites with as few rounds as possible; return the output."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        *(str(ROOT / "benchmarks" / f"test_{suite}.py") for suite in ("models", "kernels")),
        "-q",
        "-p",
        "no:cacheprovider",
        "--benchmark-only",
        "--benchmark-min-rounds=1",
        "--benchmark-max-time=0.01",
        "--benchmark-warmup=off",
        "--arbench-model=wavenet:tiny",
        "--arbench-n=8",
        "--arbench-kernel=softmax",
        "--arbench-compiled=0",
        *words,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def first(load: Callable[[Path], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that both suites stored, run once for all tests."""

    def make(place: Path) -> None:
        pytest_process(f"--benchmark-storage=file://{place}", "--benchmark-save=first")

    place = load(ROOT / "tests" / "once.py").folder(tmp_path_factory, "benchmarks", make)
    (stored,) = place.glob("*/0001_first.json")
    return Path(stored)


def test_kernels_share_the_runners_cases(first: Path) -> None:
    stored = json.loads(first.read_text())["benchmarks"]
    assert all(one["stats"]["median"] > 0 for one in stored)
    cases = make_kernel_plan(KernelOptions(kernels=["softmax"], compiled=0)).cases
    expected = {(case.preset, case.op, case.method) for case in cases if not interpret(case)}
    infos = [one["extra_info"] for one in stored if one["extra_info"]["model"] == "softmax"]
    assert {(info["preset"], info["op"], info["method"]) for info in infos} == expected
    assert all(info["bytes"] > 0 for info in infos)
    rows = [row for row in read_stored(first).cases.values() if row.model == "softmax"]
    assert {(row.depth, row.why_unknown) for row in rows} == {(None, NO_DEPTH)}


def test_models_share_the_runners_cases_and_counters(first: Path) -> None:
    results = read_stored(first)
    found = {name: row for name, row in results.cases.items() if row.model == "wavenet"}
    planned = {case.id: case for case in make_plan(Options(models=["wavenet:tiny"], n=[8])).cases}
    assert found.keys() == planned.keys()
    for case in planned.values():
        job = Job("prove", [case], seed=0, threads=1)
        (expected,) = (line for line in ModelSubject(job).count([case], 60.0) if line.case == case.id)
        row = found[case.id]
        assert all(getattr(row, name) == getattr(expected, name) for name in COUNTERS), case.id
        assert (row.count_source, row.why_unknown, row.twin) == ("counted", None, expected.twin)
    assert results.run.environment["versions"]["torch"] == torch.__version__
    assert "load" not in results.run.environment


def test_a_stored_run_is_compared_and_a_case_too_long_to_count_has_no_counters(first: Path, tmp_path: Path) -> None:
    shutil.copytree(first.parents[1], tmp_path, dirs_exist_ok=True)
    stored = tmp_path / "stored.json"
    words = [f"--benchmark-storage=file://{tmp_path}", "--benchmark-compare=0001", f"--benchmark-json={stored}"]
    said = pytest_process(*words, "-k", "naive", "--arbench-count-budget=0")
    assert f"{NAIVE} (NOW)" in said
    assert f"{NAIVE} (0001_first)" in said
    assert "machine_info is different" not in said
    (case,) = read_stored(stored).cases.values()
    assert (case.depth, case.flops, case.count_source) == (None, None, "none")
    assert case.why_unknown == "counting exceeded --arbench-count-budget (0 s)"
    assert case.nfe == 8  # from its verification
    assert case.id in read_stored(first).cases


def test_a_run_of_another_machine_is_compared_with_a_warning(first: Path, tmp_path: Path) -> None:
    elsewhere = json.loads(first.read_text())
    elsewhere["machine_info"]["arbench"]["versions"]["torch"] = "1.0"
    other = tmp_path / first.relative_to(first.parents[1])
    other.parent.mkdir()
    other.write_text(json.dumps(elsewhere))
    # pytest-benchmark names the storage relative to its working directory, and fails where that is impossible
    words = [f"--benchmark-storage=file://{tmp_path}", "--benchmark-compare=0001", "-k", "naive"]
    said = pytest_process(*words, cwd=tmp_path)
    assert f"{NAIVE} (0001_first)" in said
    assert "machine_info is different" in said

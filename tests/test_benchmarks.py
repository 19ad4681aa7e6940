"""The suites of benchmarks/ run, with the cases of ``arbench run``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from arbench.bench.job import Job
from arbench.bench.kernels.plan import KernelOptions, make_kernel_plan
from arbench.bench.kernels.subject import NO_DEPTH, interpret
from arbench.bench.models.counting import COUNTERS
from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, make_plan
from arbench.stored import read_stored

ROOT = Path(__file__).parent.parent


def pytest_process(suite: str, *words: str, cwd: Path = ROOT) -> str:
    """Run a suite as briefly as possible, and return its output."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(ROOT / "benchmarks" / suite),
        "-q",
        "-p",
        "no:cacheprovider",
        "--benchmark-only",
        "--benchmark-min-rounds=1",
        "--benchmark-max-time=0.01",
        "--benchmark-warmup=off",
        *words,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def benchmarked(stored: Path, suite: str, *words: str) -> list[dict[str, Any]]:
    """Run a suite, and return its cases as pytest-benchmark stores them."""
    pytest_process(suite, f"--benchmark-json={stored}", *words)
    found: list[dict[str, Any]] = json.loads(stored.read_text())["benchmarks"]
    assert all(one["stats"]["median"] > 0 for one in found)
    return found


def test_kernels_share_the_runners_cases(tmp_path: Path) -> None:
    words = ["--arbench-kernel=softmax", "--arbench-compiled=0"]
    stored = tmp_path / "stored.json"
    found = benchmarked(stored, "test_kernels.py", *words)
    cases = make_kernel_plan(KernelOptions(kernels=["softmax"], compiled=0)).cases
    expected = {(case.preset, case.op, case.method) for case in cases if not interpret(case)}
    infos = [one["extra_info"] for one in found]
    assert {(info["preset"], info["op"], info["method"]) for info in infos} == expected
    assert all(info["bytes"] > 0 for info in infos)
    rows = read_stored(stored).cases.values()
    assert {(row.depth, row.why_unknown) for row in rows} == {(None, NO_DEPTH)}


MODEL = ("--arbench-model=wavenet:tiny", "--arbench-n=8")


def test_suites_share_the_runners_cases_and_counters(tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    found = benchmarked(stored, "test_models.py", *MODEL)
    results = read_stored(stored)
    planned = {case.id: case for case in make_plan(Options(models=["wavenet:tiny"], n=[8])).cases}
    assert results.cases.keys() == planned.keys()
    assert len(found) == len(planned)
    for case in planned.values():
        job = Job("prove", [case], seed=0, threads=1)
        (expected,) = (line for line in ModelSubject(job).count([case], 60.0) if line.case == case.id)
        row = results.cases[case.id]
        assert all(getattr(row, name) == getattr(expected, name) for name in COUNTERS), case.id
        assert (row.count_source, row.why_unknown) == ("counted", None)
    assert results.run.environment["versions"]["torch"] == torch.__version__
    assert "load" not in results.run.environment


def test_a_case_too_long_to_count_is_stored_without_counters(tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    pytest_process("test_models.py", f"--benchmark-json={stored}", *MODEL, "-k", "naive", "--arbench-count-budget=0")
    (case,) = read_stored(stored).cases.values()
    assert (case.depth, case.flops, case.count_source) == (None, None, "none")
    assert case.why_unknown == "counting exceeded --arbench-count-budget (0 s)"
    assert case.nfe == 8  # from its verification


def test_two_stored_runs_compare(tmp_path: Path) -> None:
    words = (*MODEL, "-k", "parallel", f"--benchmark-storage=file://{tmp_path}")
    pytest_process("test_models.py", *words, "--benchmark-save=first")
    (first,) = tmp_path.glob("*/0001_first.json")
    said = pytest_process("test_models.py", *words, "--benchmark-save=second", "--benchmark-compare=0001")
    name = "test_case[wavenet:tiny/score/parallel/eager/cpu/float32/b1/n8]"
    assert f"{name} (NOW)" in said
    assert f"{name} (0001_first)" in said
    assert "machine_info is different" not in said
    (second,) = tmp_path.glob("*/0002_second.json")
    assert read_stored(first).cases.keys() == read_stored(second).cases.keys()

    elsewhere = json.loads(first.read_text())
    elsewhere["machine_info"]["arbench"]["versions"]["torch"] = "1.0"
    first.write_text(json.dumps(elsewhere))
    # pytest-benchmark names the storage relative to its working directory, and fails where that is impossible
    said = pytest_process("test_models.py", *words, "--benchmark-compare=0001", cwd=tmp_path)
    assert f"{name} (0001_first)" in said
    assert "machine_info is different" in said

"""The suites of benchmarks/ run, and their cases are the runner's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from arbench.bench.kernel_subject import interpret
from arbench.bench.kernels import KernelOptions, make_kernel_plan
from arbench.bench.plan import Options, make_plan

ROOT = Path(__file__).parent.parent


def benchmarked(stored: Path, suite: str, *words: str) -> list[dict[str, Any]]:
    """Runs a suite as short as it can be; its cases, as pytest-benchmark stores them."""
    command = [
        sys.executable, "-m", "pytest", str(ROOT / "benchmarks" / suite), "-q", "-p", "no:cacheprovider",
        "--benchmark-only", "--benchmark-min-rounds=1", "--benchmark-max-time=0.01", "--benchmark-warmup=off",
        f"--benchmark-json={stored}", *words,
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(stored.read_text())["benchmarks"]
    assert all(one["stats"]["median"] > 0 for one in found)
    return found


def test_kernels_share_the_runners_cases(tmp_path: Path) -> None:
    words = ["--arbench-kernel=softmax", "--arbench-compiled=0"]
    found = benchmarked(tmp_path / "stored.json", "test_kernels.py", *words)
    cases = make_kernel_plan(KernelOptions(kernels=["softmax"], compiled=0)).cases
    expected = {(case.preset, case.op, case.method) for case in cases if not interpret(case)}
    infos = [one["extra_info"] for one in found]
    assert {(info["preset"], info["op"], info["method"]) for info in infos} == expected
    assert all(info["bytes"] > 0 for info in infos)


def test_suites_share_the_runners_cases(tmp_path: Path) -> None:
    found = benchmarked(
        tmp_path / "stored.json", "test_models.py", "--arbench-model=wavenet:tiny", "--arbench-n=8"
    )
    expected = {case.method for case in make_plan(Options(models=["wavenet:tiny"], n=[8])).cases}
    assert {one["extra_info"]["method"] for one in found} == expected

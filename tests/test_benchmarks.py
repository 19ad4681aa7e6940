"""The suites of benchmarks/ run, and their cases are the runner's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from arbench.bench.plan import Options, make_plan

ROOT = Path(__file__).parent.parent


def test_suites_share_the_runners_cases(tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    command = [
        sys.executable, "-m", "pytest", str(ROOT / "benchmarks"), "-q", "-p", "no:cacheprovider",
        "--benchmark-only", "--benchmark-min-rounds=1", "--benchmark-max-time=0.01", "--benchmark-warmup=off",
        f"--benchmark-json={stored}", "--arbench-model=wavenet:tiny", "--arbench-n=8",
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(stored.read_text())["benchmarks"]
    expected = {case.method for case in make_plan(Options(models=["wavenet:tiny"], n=[8])).cases}
    assert {one["extra_info"]["method"] for one in found} == expected
    assert all(one["stats"]["median"] > 0 for one in found)

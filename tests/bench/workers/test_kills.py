"""Runs whose workers are killed: a few of the trial in ``benchmarks/kill_trial.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

TRIAL = Path(__file__).parents[3] / "benchmarks" / "kill_trial.py"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_killed_worker_costs_no_case(seed: int, load: Callable[[Path], ModuleType], tmp_path: Path) -> None:
    trial = load(TRIAL)
    line = trial.one_run(seed, 8.0, tmp_path)
    assert line["killed"] is not None
    assert trial.sound(line), line

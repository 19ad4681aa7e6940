"""The faults of the trial can still be planted, each in one place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trial(load: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the trial's script as a module."""
    return load(ROOT / "benchmarks" / "fault_trial.py")


def test_every_fault_changes_one_place_of_this_tree(trial: ModuleType) -> None:
    faults = trial.read_faults(ROOT / "benchmarks" / "faults.toml", before=False)
    assert max(Counter(fault["name"] for fault in faults).values()) == 1
    assert len(faults) >= 40
    for fault in faults:
        file = ROOT / fault["path"]
        assert trial.planted(ROOT, fault) != file.read_bytes(), fault["name"]
        assert list(trial.stages(ROOT, fault)), fault["name"]


def test_a_fault_that_no_longer_fits_is_refused(trial: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(click.ClickException, match=r"^f: 'x = 1' occurs 2 times in a.py, expected once; update"):
        trial.planted(tmp_path, {"name": "f", "path": "a.py", "find": "x = 1", "replace": "x = 2"})


def test_the_table_of_what_is_trusted_names_tests_that_exist() -> None:
    text = (ROOT / "reports" / "trust" / "README.md").read_text()
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(test_\w+))?`", text)
    assert len(named) > 20
    for file, test in named:
        source = (ROOT / file).read_text()
        assert not test or f"def {test}(" in source, f"{file}::{test}"

"""The contract of a user's own model: its page names everything, and its code runs exactly as printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest

import arbench
from arbench.bench import runner
from arbench.methods import METHODS
from arbench.models import Source

PAGE = (Path(__file__).parents[2] / "docs" / "own-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NOT_DEFINED_BY_USERS = {"source", "draft"}
"""The deprecated name of ``citation``, and the draft that arbench builds from ``drafting``."""


@pytest.fixture(autouse=True)
def inside(load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs of workers in this process, and replace the measurement of this machine's limits by constants."""
    found = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
    monkeypatch.setattr(runner, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)
    monkeypatch.setattr(runner, "limits", lambda device, threads=None: found)


def defined() -> set[str]:
    """Return the public names that the protocol defines or declares."""
    return {name for name in {*vars(Source), *Source.__annotations__} if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(defined() - NOT_DEFINED_BY_USERS))
def test_the_page_names_what_a_user_may_define(name: str) -> None:
    assert re.search(rf"^\|[^|]*`(self\.)?{name}\b[^|]*\|", PAGE, re.MULTILINE), name


@pytest.mark.parametrize("name", sorted({m.name for m in METHODS if m.feeds == "x"}))
def test_the_page_names_every_method_of_a_model_that_reads_events(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_first_example_is_what_arbench_new_writes() -> None:
    assert BLOCKS[0] == (resources.files("arbench.cli.starters") / "model.py").read_text(encoding="utf-8")


def test_the_second_example_is_short() -> None:
    assert len([line for line in BLOCKS[1].splitlines() if line]) < 40


@pytest.mark.parametrize(
    ("number", "cls", "methods"),
    [
        (0, "MyModel", ["parallel", "cached", "forecast"]),
        (1, "Cached", ["parallel", "cached", "speculative"]),
        (3, "Characters", ["parallel", "cached", "blocks"]),
    ],
)
def test_its_examples_run_as_printed(number: int, cls: str, methods: list[str], tmp_path: Path) -> None:
    file = tmp_path / f"my_{cls.lower()}.py"
    file.write_text(BLOCKS[number], encoding="utf-8")
    (tmp_path / "network.py").write_text(BLOCKS[2], encoding="utf-8")
    sizes = [8, 12, 16, 24]
    results = arbench.measure(f"{file}:{cls}", methods=methods, n=sizes, rounds=1, workers=1)
    assert {(row.method, row.n) for row in results.cases.values()} == {(m, n) for m in methods for n in sizes}
    assert {row.status for row in results.cases.values()} == {"ok"}
    assert [fit.verdict for fit in results.fits.values() if fit.claimed] == ["holds"] * 4

"""The suite that the page on comparisons shows runs as printed, with what a table leaves out as on the command line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import arbench
from arbench.bench import runner

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")


def test_the_suite_that_it_shows(
    load: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
    monkeypatch.setattr(runner, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)
    monkeypatch.setattr(runner, "limits", lambda device, threads=None: found)
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    Path("mine.toml").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "arbench" / "cli" / "starters" / "model.py", "my_model.py")
    results = arbench.measure(suite="mine.toml", rounds=1, workers=1)
    wanted = {
        *(("wavenet", method, 1, n) for method in ("parallel", "naive", "cached") for n in (16, 32, 64)),
        *(("my_model.MyModel", "cached", batch, n) for batch in (1, 8) for n in (16, 64)),
    }
    rows = results.cases.values()
    assert {(row.model, row.method, row.batch, row.n) for row in rows} == wanted
    assert {row.status for row in rows} == {"ok"}

"""The Python code that the README and the pages show runs exactly as printed."""

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
PAGES = "".join((ROOT / name).read_text() for name in ("README.md", "docs/python.md", "docs/kernels.md"))
COMPARE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGES, re.DOTALL)


def block(containing: str) -> str:
    (found,) = [text for text in BLOCKS if containing in text]
    return found


@pytest.fixture(autouse=True)
def inside(load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs of workers in this process, and replace the measurement of this machine's limits by constants."""
    found = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
    monkeypatch.setattr(runner, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)
    monkeypatch.setattr(runner, "limits", lambda device, threads=None: found)


def test_measuring_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block("arbench.measure"), "python.md", "exec"), names)
    assert (tmp_path / "mine" / "report.html").stat().st_size > 0


def test_a_kernel() -> None:
    names: dict[str, object] = {}
    exec(compile(block("causal_conv1d"), "kernels.md", "exec"), names)
    assert getattr(names["y"], "shape", None) == (2, 64, 1000)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_streaming(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("arbench.stream"), "python.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == ["(1, 256)", "(1, 256)", "(1, 88)"]


def test_the_suite_that_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```toml\n(.*?)```", COMPARE, re.DOTALL)
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


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "my_model.py"
    file.write_text(block("class Bigram"), encoding="utf-8")
    results = arbench.measure(f"{file}:Bigram", n=[8, 16, 32, 64], rounds=1, workers=1)
    assert {case.status for case in results.cases.values()} == {"ok"}
    claimed = [fit.verdict for fit in results.fits.values() if fit.claimed]
    assert claimed == ["holds"] * 4

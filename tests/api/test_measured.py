"""The names of the package, the result of ``measure`` as a notebook or a script sees it, and its progress."""

from __future__ import annotations

import builtins
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import arbench
from arbench.api import Measured, measure
from arbench.bench.options import PlanError
from arbench.bench.progress import Progress
from arbench.models import resolve
from arbench.results import Case, Fit, Results, ResultsError, Run, TakenError, Writer, read

RUN = Run(1, "r", "2026-01-05T12:00:00+00:00", [], 0, None, {}, {}, {})
KEY = {"model": "<mine>", "preset": "tiny", "op": "sample", "method": "cached", "backend": "eager", "device": "cpu"}
CASES = [
    Case(
        id=f"n{n}",
        **KEY,
        dtype="float32",
        batch=1,
        n=n,
        element="token",
        weights=7,
        status="ok",
        exactness="pointwise",
        depth=3 * n + 1,
        median_s=1e-3 * n,
        count_source="counted",
    )
    for n in (8, 16, 32, 64)
]
FIT = Fit(
    **KEY,
    dtype="float32",
    batch=1,
    metric="depth",
    claimed="N",
    fitted="N",
    sizes=[8, 16, 32, 64],
    values=[25.0, 49.0, 97.0, 193.0],
    intercept=1.0,
    slope=3.0,
    exponent=1.0,
    exponent_ci95=None,
    residual=0.0,
    verdict="holds",
    why="exact",
)


def pretended(plan: object, folder: Path, *, progress: Progress, **_: object) -> Results:
    """Report progress and write a results file as ``run_plan`` would, without measuring."""
    progress.stage("mine: timing", 2, 0)
    progress.note("a note")
    with Writer(folder / "results.jsonl") as writer:
        for line in (RUN, *CASES, FIT):
            writer.write(line)
    return read(folder)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("arbench.bench.runner.run_plan", pretended)
    monkeypatch.setattr("arbench.bench.plan.make_plan", lambda options: options)
    monkeypatch.chdir(tmp_path)


def test_the_package_shows_its_names_and_its_version() -> None:
    assert {"measure", "stream", "__version__"} <= set(dir(arbench))
    assert arbench.__version__ == version("arbench")
    assert arbench.measure is measure
    assert arbench.PlanError is PlanError
    words = {name for name in dir(arbench) if not name.startswith("_")}
    assert set(arbench.__all__) - {"__version__"} <= words
    rooms = {"distributions", "kernels", "methods", "models", "report", "results", "testing"}
    assert words <= {*arbench.__all__} | rooms
    light = (
        "import sys, arbench; dir(arbench); arbench.__version__; print({'torch', 'numpy', 'rich'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_result_is_that_of_the_file_and_shows_itself(tmp_path: Path) -> None:
    found = measure(out=tmp_path / "out")
    assert isinstance(found, Measured)
    assert found == read(tmp_path / "out")
    assert read(tmp_path / "out") == found
    less = read(tmp_path / "out")
    less.cases.popitem()
    assert found != less
    lines = repr(found).splitlines()
    assert lines[0].startswith("<mine>:tiny")
    assert any("cached" in line and "64" in line for line in lines)
    frame = found.frame()
    assert frame["n"].tolist() == [8, 16, 32, 64]
    assert frame["depth"].tolist() == [25, 49, 97, 193]


def test_an_object_in_place_of_its_class_is_refused() -> None:
    with pytest.raises(PlanError, match=r"^measure takes names and classes, got WaveNet; pass a class, not an object$"):
        arbench.measure(["wavenet:tiny", resolve("wavenet:tiny").build()])


def test_resume_needs_the_folder_of_a_run() -> None:
    with pytest.raises(ResultsError, match=r"^resume needs out; name the folder of the run to continue$"):
        measure(resume=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TakenError("taken", Results(RUN), Path("there"))])
@pytest.mark.parametrize("written", [False, True])
def test_a_temporary_folder_stays_where_the_run_ends_with_an_exception(
    error: BaseException, written: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(plan: object, folder: Path, **more: Any) -> Results:
        if written:
            pretended(plan, folder, **more)
        raise error

    monkeypatch.setattr("arbench.bench.runner.run_plan", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(type(error)) as raised:
        measure()
    left = list(tmp_path.iterdir())
    assert len(left) == written
    if written:
        assert raised.value.__notes__[-1] == f"what was measured is in {left[0]}"
        assert len(read(left[0]).cases) == len(CASES)


def test_a_notebook_gets_tables_and_verdicts_as_well_formed_html() -> None:
    html = measure()._repr_html_()
    tree = ET.fromstring(f"<cell>{html}</cell>")
    cells = [cell.text for cell in tree.iter("td")]
    assert "cached" in cells
    assert any("<mine>:tiny" in (caption.text or "") for caption in tree.iter("caption"))
    (claim,) = [item.text for item in tree.iter("li") if item.get("class") == "holds"]
    assert claim is not None
    assert claim.startswith("holds: <mine>:tiny sampling (cached): ")


def test_a_report_goes_beside_the_results_or_where_it_is_asked_for(tmp_path: Path) -> None:
    assert measure(out="out").report() == Path("out/report.html")
    page = measure().report("other")
    assert page == Path("other/report.html")
    assert "&lt;mine&gt;:tiny" in page.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"out", "other"}
    made = measure().report()
    assert made.parent.parent == Path("results")
    assert made.is_file()


@pytest.mark.parametrize(("progress", "shown"), [(None, False), (False, False), (True, True)])
def test_progress_is_shown_where_it_is_asked_for(
    progress: bool | None, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(progress=progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ("mine: timing (2 steps)\na note\n" if shown else "")


class ZMQInteractiveShell:
    """Stand-in for the shell of a notebook, which rich knows by the name of its class."""


def test_a_notebook_shows_progress_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[object] = []
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setattr("rich.jupyter.display", lambda segments, text: displayed.append(text))
    measure()
    assert "".join(map(str, displayed)).split() == ["mine:", "timing", "(2", "steps)", "a", "note"]
    displayed.clear()
    measure(progress=False)
    assert displayed == []

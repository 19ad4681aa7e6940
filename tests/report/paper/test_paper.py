"""The files for a paper: figures, floats, captions and references, from a results file alone."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from arbench.report.drawings import draw
from arbench.report.figures.style import PAPER
from arbench.report.paper import render_paper
from arbench.report.paper.captions import machine, of_figure
from arbench.report.paper.citation import bibtex
from arbench.results import Case, Fit, Run

DIGEST = "0123456789abcdef" * 4
FACTS = {
    "cpu": {"model": "Example & Sons", "usable_cores": 4},
    "gpu": None,
    "threads": {"torch": 1},
    "versions": {"arbench": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "triton": None},
}
COMMAND = "arbench run --model wavenet --data 'my voice.wav' --out runs/first"


def known(line):
    return msgspec.structs.replace(line, environment=FACTS) if isinstance(line, Run) else line


@pytest.fixture(scope="module")
def folder(both, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("paper")
    found = render_paper(both, out, DIGEST)
    assert sorted(found) == sorted(out.iterdir())
    return out


def test_every_figure_is_a_float_with_a_caption_and_a_label(folder: Path) -> None:
    text = (folder / "figures.tex").read_text()
    pages = {one.stem for one in folder.glob("*.pdf")}
    assert {"map", "wavenet-nv-seconds", "wavenet-nv-depth", "fractions", "roofline"} == pages
    assert pages == {one.stem for one in folder.glob("*.svg")}
    assert set(re.findall(r"\\includegraphics(?:\[width=\\textwidth\])?\{([a-z-]+)\.pdf\}", text)) == pages
    assert set(re.findall(r"\\label\{fig:([a-z-]+)\}", text)) == pages
    for wide, body in re.findall(r"\\begin\{figure(\*?)\}(.*?)\\end\{figure\*?\}", text, flags=re.DOTALL):
        assert bool(wide) == (r"[width=\textwidth]" in body)
        assert bool(wide) == ("{wavenet-nv-" not in body)
        assert r"Repeat with \texttt{arbench run -{}-model wavenet" in body


def test_tables_of_models_and_kernels_have_the_same_cells_as_the_summary(folder: Path) -> None:
    text = (folder / "tables.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\toprule") == text.count(r"\label{tab:arbench-") >= 3
    assert "\\texttt{" in text
    assert r"fixed\_point & " in text
    assert r"arbench \textperiodcentered{} numba" in text or "arbench & numba" in text


def test_captions_are_plain_text_for_others(folder: Path) -> None:
    text = (folder / "captions.txt").read_text()
    assert f"Repeat with {COMMAND}." in text
    names = re.findall(r"^([a-z0-9 -]+): ", text, flags=re.MULTILINE)
    assert names[:3] == ["map", "wavenet-nv-seconds", "wavenet-nv-depth"]
    assert names[-1].startswith("table ")


def test_a_caption_says_machine_versions_sizes_interval_and_command(build) -> None:
    results = build(edit=known)
    drawings = {one.name: one for one in draw(results, PAPER)}
    said = str(of_figure(drawings["wavenet-nv-seconds"], results))
    assert said.startswith("wavenet:nv: time over N. ")
    assert (
        "Settings: N = 256 to 16,384, batch 1, float32, eager, cpu. Machine: Example & Sons, 4 cores, 1 thread. "
        "Times are medians over 6 fresh processes; bars are 95% intervals over processes. "
        f"Software: arbench 0.1.0, Python 3.11.7, PyTorch 2.13.0, commit 0123abc. Repeat with {COMMAND}."
    ) in said
    counted = str(of_figure(drawings["map"], results))
    assert counted.startswith("Growth of scoring depth")
    assert "Depth is counted, and does not depend on the machine." in counted
    assert "Machine:" not in counted


def test_a_caption_of_a_table_has_no_sentence_for_each_method(both, folder: Path) -> None:
    text = (folder / "captions.txt").read_text()
    (caption,) = [line for line in text.splitlines() if line.startswith("table 1: ")]
    untimed = sum(case.status != "ok" for case in both.cases.values() if case.model == "wavenet")
    assert f"{untimed} of 30 cases have no time (over budget)." in caption
    assert "over budget: " not in caption


def test_a_few_processes_have_a_range_and_no_interval(build) -> None:
    results = build(edit=known, workers=3)
    drawing = next(one for one in draw(results, PAPER) if one.name == "wavenet-nv-seconds")
    said = str(of_figure(drawing, results))
    assert "medians over 3 fresh processes; bars are the range over processes where fewer than six were timed." in said
    assert "95%" not in said


def test_an_unknown_machine_is_left_out(results) -> None:
    assert machine(msgspec.structs.replace(results.run, environment={})) == ""
    gpu = {"gpu": {"name": "H200"}, "cpu": {"model": "x"}}
    assert machine(msgspec.structs.replace(results.run, environment=gpu)) == "Machine: H200, x."


def test_bibtex_names_the_program_and_the_run(build) -> None:
    results = build(edit=known)
    found = bibtex(results, DIGEST)
    assert re.findall(r"^@misc\{([a-z0-9-]+),$", found, flags=re.MULTILINE) == ["arbench", "arbench-run-20260105"]
    program, measured = found.split("\n\n")
    for field in (
        "author = {{The",
        "year = {2026},",
        "howpublished = {Unreleased software}",
        "note = {Version 0.1.0},",
    ):
        assert field in program
    assert "key = {arbench run 20260105}," in measured, "a run has no author"
    assert "title = {{Measurements of wavenet:nv, pixelcnn:gated and parallel\\_wavenet:paper with arbench}}," in found
    assert "year = {2026},\n" in found
    assert "month = jan,\n" in found
    assert DIGEST in found.replace(r"\allowbreak{}", "")
    assert "Machine: Example \\& Sons, 4 cores, 1 thread." in found


@pytest.mark.parametrize("word", ["{", "}", "}{", r"\{"])
def test_a_brace_in_a_command_leaves_the_braces_of_bibtex_in_pairs(build, word) -> None:
    def said(line):
        return msgspec.structs.replace(line, argv=["arbench", "run", word]) if isinstance(line, Run) else line

    depth = 0
    for entry in bibtex(build(edit=said), DIGEST).split("\n\n"):
        for one in re.findall(r"[{}]", entry):  # as BibTeX counts them: a backslash before one changes nothing
            depth += 1 if one == "{" else -1
            assert depth >= 0
        assert depth == 0
        assert "textbrace" in entry or "@misc{arbench," in entry


def test_nothing_measured_writes_nothing(build, tmp_path: Path) -> None:
    empty = build(edit=lambda line: None if isinstance(line, Case | Fit) else line)
    assert render_paper(empty, tmp_path / "out", DIGEST) == []
    assert not (tmp_path / "out").exists()

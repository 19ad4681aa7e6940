"""arbench report: reports of finished and interrupted runs."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from pathlib import Path

import msgspec
import pytest

from arbench.cli.show import show
from arbench.results import AnyLine, Case, read


def test_the_report_of_a_finished_run_goes_to_the_given_folder(answer, copied, tmp_path):
    file = copied / "results.jsonl"
    before = file.read_bytes()
    found = answer("report", file, "--out", tmp_path / "elsewhere")
    assert found.code == 0
    assert found.err == ""
    assert f"report   {tmp_path}/elsewhere/report.html\nresults  {file}\n" in found.out
    assert "holds: wavenet:tiny sampling (cached)" not in found.out
    told = " ".join(answer("report", file, "--out", tmp_path / "elsewhere", "--details").out.split())
    assert "✓ holds: wavenet:tiny sampling (cached): depth grows as O(N), as claimed" in told
    assert "verified in " not in found.out
    assert (tmp_path / "elsewhere" / "report.html").read_text() == (copied / "report.html").read_text()
    assert (tmp_path / "elsewhere" / "summary.md").exists()
    assert file.read_bytes() == before


def test_rows_that_a_killed_run_did_not_write_are_worked_out(answer, copied):
    file = copied / "results.jsonl"
    whole = read(copied)
    raw = file.read_bytes().partition(b'{"kind":"case"')[0]
    file.write_bytes(raw)
    found = answer("report", copied, "--json")
    assert found.code == 0
    rows = [msgspec.json.decode(line, type=AnyLine) for line in found.out.splitlines()]
    cases = {row.id: row for row in rows if isinstance(row, Case)}
    assert cases.keys() == whole.cases.keys()
    for row in cases.values():
        assert row.stopped_by == "interrupted"
        assert row.median_s == whole.cases[row.id].median_s
    assert file.read_bytes() == raw


def test_a_run_killed_before_any_case_was_verified_has_a_report_too(answer, copied):
    file = copied / "results.jsonl"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    found = answer("report", copied)
    assert found.code == 0
    assert (copied / "report.html").read_text().rstrip().endswith("</html>")


@pytest.mark.filterwarnings("default:.*torn last line")
def test_a_torn_line_is_reported_on_one_line(answer, copied):
    file = copied / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-3])
    found = answer("report", copied)
    assert found.code == 0
    assert found.err == f"arbench: warning: {file}: a torn last line was dropped\n"


def test_a_place_that_cannot_be_written_is_refused(refusal, copied, tmp_path):
    (tmp_path / "file").touch()
    said = refusal("report", copied, "--out", tmp_path / "file")
    assert said == f"--out {tmp_path}/file: cannot be written (File exists); choose another folder"


@pytest.mark.parametrize("name", ["merged.jsonl", "out dir/results.jsonl"])
def test_the_command_for_details_names_what_was_rendered(name, answer, copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arbench.cli.show.render", lambda results, folder, beside: [folder / "report.html"])
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (copied / "results.jsonl").rename(tmp_path / name)
    (told,) = (line for line in answer("report", name, "--out", "rep").out.splitlines() if line.startswith("details "))
    words = shlex.split(told)[1:]
    assert words == ["arbench", "report", name.removesuffix("/results.jsonl"), "--details"]
    assert answer(*words[1:]).code == 0


def test_for_a_paper_it_writes_figures_tables_captions_and_references(answer, copied, tmp_path):
    file = copied / "results.jsonl"
    page = (copied / "report.html").stat()
    found = answer("report", file, "--style", "paper", "--out", tmp_path / "mine")
    assert (found.code, found.err) == (0, "")
    folder = tmp_path / "mine" / "paper"
    pages = sorted(one.name for one in folder.glob("*.pdf"))
    assert found.out == (
        f"paper    {folder}\n"
        f"figures  {len(pages)}, each as PDF and SVG\n"
        "text     figures.tex, tables.tex, captions.txt, references.bib\n"
    )
    assert {"wavenet-tiny-depth.pdf", "wavenet-tiny-seconds.pdf", "wavenet-tiny-roofline.pdf"} <= set(pages)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest in (folder / "references.bib").read_text().replace(r"\allowbreak{}", "")
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["paper"]
    assert (copied / "report.html").stat() == page


@pytest.mark.parametrize("option", ["--json", "--details"])
def test_for_a_paper_it_prints_no_rows(option, refusal, copied):
    said = refusal("report", copied, "--style", "paper", option)
    assert said == f"--style paper prints no rows; leave out {option}"


def test_a_paper_is_about_one_run(refusal, copied):
    said = refusal("report", copied, copied, "--style", "paper", "--out", copied / "page")
    assert said == "--style paper is for one run; name one PATH"


def test_a_run_without_cases_has_nothing_for_a_paper(answer, copied):
    file = copied / "results.jsonl"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    found = answer("report", copied, "--style", "paper")
    assert (found.code, found.out) == (3, "")
    assert found.err == f"arbench: {file}: nothing was measured that a figure or a table could show\n"


def test_the_page_on_papers_names_what_is_written(answer, copied, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^```console\narbench (.*)\n```$", page, flags=re.MULTILINE)
    (tmp_path / "runs").mkdir(exist_ok=True)
    copied.rename(tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    assert answer(*shlex.split(command)).code == 0
    names = re.findall(r"^\| `([A-Za-z]+\.[a-z]+)` \|", page, flags=re.MULTILINE)
    written = {one.name for one in Path("runs/mine/paper").iterdir()}
    texts = {name for name in written if name.endswith((".tex", ".txt", ".bib"))}
    assert texts == set(names) - {"NAME.pdf", "NAME.svg"}
    assert r"\label{fig:" in Path("runs/mine/paper/figures.tex").read_text()
    assert r"\label{tab:arbench-1}" in Path("runs/mine/paper/tables.tex").read_text()


def test_several_runs_make_one_page(answer, copied, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(copied, other)
    found = answer("report", copied, other, "--out", tmp_path / "page", "--label", "first")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        f"run      first: {copied}/results.jsonl",
        f"run      other: {other}/results.jsonl",
        f"report   {tmp_path}/page/report.html",
    ]
    page = (tmp_path / "page" / "report.html").read_text()
    assert "other / first" in page
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "several results need --out: the folder for their page"),
        (
            ["--out", "page", "--json"],
            "--json and --details print one run; for the numbers of several: arbench compare --json A B",
        ),
        (["--out", "page", "--label", "x", "--label", "x"], "--label: 'x' names two files; choose different names"),
    ],
)
def test_several_runs_are_refused_before_any_work(words, said, refusal, copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(copied, "other")
    assert refusal("report", copied, "other", *words) == said
    assert not (tmp_path / "page").exists()


def test_the_same_run_twice_and_a_label_for_one_run_are_refused(refusal, copied, tmp_path):
    assert refusal("report", copied, copied, "--out", tmp_path / "page").endswith(
        "the same file twice; name two different files"
    )
    assert refusal("report", copied, "--label", "x") == "--label names a run among several; for one run leave it out"


@pytest.mark.parametrize("details", [False, True])
def test_claims_with_too_few_sizes_are_one_line_and_the_details_list_them(
    details, copied, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("arbench.cli.show.render", lambda results, folder, beside: [folder / "report.html"])
    results = read(copied)
    claimed = [fit for fit in results.fits.values() if fit.claimed]
    for fit in claimed:
        fit.sizes, fit.values, fit.verdict, fit.why = fit.sizes[:2], fit.values[:2], "undecided", "2 sizes measured"
    show(results, tmp_path, False, copied / "results.jsonl", details)
    opening, _, listed = capsys.readouterr().out.partition("Every claim")
    told = " ".join(opening.split())
    assert told.count("? undecided: ") == 1
    assert f"? undecided: {len(claimed)} claims of wavenet:tiny: fewer than 4 sizes of N were counted" in told
    assert told.count("; listed below" if details else "; --details lists them") == 1
    assert listed.count("? undecided: ") == (len(claimed) if details else 0)

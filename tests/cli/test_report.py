"""arbench report: reports of finished and interrupted runs."""

from __future__ import annotations

import shlex
import shutil

import msgspec
import pytest

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

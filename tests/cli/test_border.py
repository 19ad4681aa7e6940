"""The terminal obeys nothing that a command prints; empty paths and damaged files are answered in one line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import click
import msgspec
import pytest

from arbench.cli import COMMANDS, group
from arbench.cli.border import Printable, guarded
from arbench.cli.options import FilePath, PathText
from arbench.cli.progress import Display
from arbench.cli.run import say_imports
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, ResultsError, Run, TakenError, WriteError, Writer, read

EVIL = "\x1b[2J\x1b]0;owned\x07\u202egpj\r\x9b31m"
SHOWN = r"\u001b[2J\u001b]0;owned\u0007\u202egpj\u000d\u009b31m"


def harmless(text: str) -> bool:
    return text.isprintable() or all(one.isprintable() or one in "\n\t" for one in text)


@pytest.fixture
def evil(copied, unseal) -> Path:
    """Return a run whose model, preset, method, errors and ids contain what a terminal would obey."""
    file = copied / "results.jsonl"
    lines = [msgspec.json.decode(line) for line in unseal(file)]
    name = {"model": f"wave{EVIL}net", "preset": f"ti{EVIL}ny", "method": f"cach{EVIL}ed", "element": EVIL}
    for line in (*lines, *lines[0]["plan"]["cases"]):
        for field in name.keys() & line.keys():
            line[field] = name[field] + (line[field] if field == "method" else "")
        for field in ("id", "case", "reference", "ladder_of"):
            if isinstance(line.get(field), str):
                line[field] += EVIL
        if "error" in line:
            line["error"] = EVIL
    lines[0]["run_id"] = lines[0]["argv"][-1] = EVIL
    file.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return copied


def test_names_in_a_results_file_reach_no_terminal_and_no_file(answer, evil, finished, tmp_path):
    for words in (
        ["report", evil, "--out", tmp_path / "report"],
        ["compare", evil, finished[0], "--label", EVIL, "--out", tmp_path / "compare"],
        ["history", evil, finished[0], "--metric", "depth", "--out", tmp_path / "history"],
    ):
        found = answer(*words)
        assert found.code in (0, 3), found
        assert harmless(found.out + found.err), found
    written = [path for path in tmp_path.rglob("*") if path.suffix in (".html", ".md", ".svg", ".csv", ".json")]
    assert {path.suffix for path in written} == {".html", ".md", ".svg", ".csv", ".json"}
    for path in written:
        assert harmless(path.read_text(encoding="utf-8")), path
    assert SHOWN in (tmp_path / "report" / "report.html").read_text()


@pytest.fixture
def unrendered(monkeypatch) -> None:
    """Leave out the report, whose figures take most of the time."""
    monkeypatch.setattr("arbench.cli.show.render", lambda results, folder, beside: [folder / "report.html"])


def test_json_keeps_the_names(answer, evil, unrendered):
    found = answer("report", evil, "--json")
    assert harmless(found.out)
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert {row["model"] for row in rows if row["kind"] == "case"} == {f"wave{EVIL}net"}


def test_errors_warnings_and_progress_are_printable(answer, refusal, tmp_path, capsys):
    (tmp_path / "bad.py").write_text(f"raise ValueError({EVIL!r})")
    said = refusal("list", "--model", f"{tmp_path}/bad.py:Mine")
    assert harmless(said)
    assert r"\u001b]0;owned" in said
    assert harmless(refusal("report", tmp_path / f"none{EVIL}"))
    assert harmless(refusal("run", f"--{EVIL}"))
    (tmp_path / "results.jsonl").write_bytes(b'{"kind":"\x1b[2J"}\n')
    assert harmless(answer("history", tmp_path).err)
    capsys.readouterr()
    with guarded(), Display() as display:
        display.stage(EVIL, 2, 1.0)
        display.step(EVIL)
        display.note(f"[red]{EVIL}")
    assert capsys.readouterr().err.splitlines() == [f"{SHOWN} (2 steps, about 1 s)", f"[red]{SHOWN}"]


def test_a_stream_spells_out_what_its_encoding_lacks():
    inner = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    outer = Printable(inner)
    outer.writelines(["ü \x1b[2J \udcff\n", "漢\n"])
    inner.flush()
    assert inner.buffer.getvalue() == rb"\xfc \u001b[2J \udcff" + b"\n" + rb"\u6f22" + b"\n"
    assert not hasattr(outer, "buffer")
    assert outer.isatty() is False


def test_standard_streams_are_given_back(answer):
    before = sys.stdout, sys.stderr
    answer("--help")
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_of_every_command_refuses_an_empty_one(refusal, name):
    """The path of NAME=PATH has a refusal of its own, in ``test_refusals``."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    paths = [one for one in command.params if isinstance(one.type, click.Path | PathText)]
    assert all(isinstance(one.type, FilePath | PathText) for one in paths)
    named = {one.name for one in command.params if "PATH" in (one.metavar or "") and one.metavar != "NAME=PATH"}
    assert named <= {one.name for one in paths}
    for one in paths:
        words = [one.opts[-1], ""] if isinstance(one, click.Option) else [""]
        said = refusal(name, *words)
        assert said.endswith("the path is empty; name a file or a folder"), said


def test_paths_that_are_not_utf8(answer, refusal, copied, unrendered, tmp_path):
    """A folder may have any name; what a results file must name may not."""
    strange = tmp_path / "b\udcff\x1b"
    found = answer("report", copied, "--out", strange)
    assert found.code == 0
    assert f"\nreport   {tmp_path}/" + r"b\udcff\u001b/report.html" + "\n" in found.out
    for option, value in (("--model", f"{strange}.py:Mine"), ("--data", strange), ("--weights", strange)):
        said = refusal("run", option, value, "--out", tmp_path / "run")
        assert said.startswith(f"{option} {tmp_path}/" + r"b\udcff\u001b")
        assert said.endswith(": not UTF-8, so no results file can name it; rename the file")
    assert not (tmp_path / "run").exists()


def test_a_model_whose_error_is_no_text_is_charged_with_it(answer, inside, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from arbench.models.wavenet import WaveNet\n"
        "class Mine(WaveNet):\n"
        "    def forward(self, f, code):\n"
        "        raise ValueError('\\udcff \\x1b[2J')\n"
    )
    small = ["--n", 8, "--method", "cached", "--rounds", 1, "--workers", 1]
    found = answer("run", "--model", f"{tmp_path}/mine.py:Mine:tiny", *small, "--out", tmp_path / "b\udcff")
    assert (found.code, "Traceback" in found.err) == (3, False)  # nothing else was to be measured
    assert harmless(found.out + found.err)
    results = read(tmp_path / "b\udcff")
    (case,) = results.cases.values()
    assert (case.status, case.error) == ("error", r"ValueError: \udcff " + "\x1b[2J (mine.py:4)")
    assert results.run.argv[-1] == f"{tmp_path}/" + r"b\udcff"
    assert results.integrity.intact


def damaged(folder: Path) -> str:
    """Change one digit of a run, and return what every command should say of it."""
    file = folder / "results.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    at, seal = [n for n, line in enumerate(lines, 1) if line.startswith(b'{"kind":"seal"')][:2]
    lines[at] = lines[at].replace(b'"started_at":1', b'"started_at":2')
    file.write_bytes(b"".join(lines))
    return (
        f"{file}:{seal}: damaged: this seal does not agree with the lines before it; the last good seal is line {at}: "
        f"restore the file, or keep what is whole with head -n {at}"
    )


def test_a_damaged_file_is_refused_by_every_command(answer, refusal, copied, finished, unrendered):
    said = damaged(copied)
    assert refusal("report", copied) == said
    assert refusal("compare", copied, finished[0]) == said
    assert refusal("history", copied / "results.jsonl") == said
    assert refusal("run", "--resume", "--out", copied) == said
    assert refusal("check", "--baseline", copied / "results.jsonl") == said
    found = answer("history", copied, finished[0], "--metric", "depth")
    assert found.err == f"arbench: warning: skipped {said}\n"
    lines = (copied / "results.jsonl").read_bytes().splitlines(keepends=True)
    (copied / "results.jsonl").write_bytes(b"".join(lines[: int(said.rpartition(" ")[2])]))  # as it advises
    assert "\nseals    unsealed (interrupted): " in answer("report", copied).out


def test_what_the_seals_say_is_shown(answer, copied, finished, unrendered, unseal):
    file = copied / "results.jsonl"
    count = len(file.read_bytes().splitlines())
    whole = f"intact: {count} lines, all as they were written. Seals show damage, not forgery."
    states = [(whole, "intact")]
    for said, state in (*states, ("unsealed (interrupted): the run did not reach its end; ", "unsealed (interrupted)")):
        found = answer("report", copied)
        assert f" seals {said}" in " ".join(found.out.split())
        assert (f"resume   arbench run --resume --out {copied}" in found.out) == (state != "intact")
        assert f"Results file: {said}" in page(read(copied), [])
        assert f"\nResults file: {said}" in summary(read(copied))
        out = answer("compare", finished[0], copied).out
        assert f"Seals: {finished[0].name} is intact, copied is {state}." in " ".join(out.split())
        out = answer("history", finished[0], copied, "--metric", "depth").out
        assert f"Seals: {'2 intact' if state == 'intact' else f'1 intact, 1 {state}'}." in out
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    unseal(file)
    found = answer("report", copied)
    assert " seals without seals, so missing or changed lines cannot be detected. " in " ".join(found.out.split())


def test_one_class_is_named_once_whatever_its_presets(capsys):
    specs = ["mm.py:MyModel", "mm.py:MyModel:tiny", "mm.py:MyModel:tiny,width=3", "wavenet:tiny"]
    cases = [{"spec": spec} for spec in specs]
    run = Run(1, "", "", [], 0, None, {"cases": cases, "options": {"models": specs[:1]}}, {}, {})
    say_imports(run, Path("results.jsonl"))
    assert capsys.readouterr().err == "arbench: importing mm.py:MyModel, which results.jsonl names\n"


def test_a_resumed_run_says_what_it_imports(answer, refusal, copied, unseal, tmp_path):
    file = copied / "results.jsonl"
    first, *rest = unseal(file)
    run = msgspec.json.decode(first)
    run["plan"]["options"]["models"] = [f"{tmp_path}/mine.py:Mine:tiny"]
    file.write_bytes(msgspec.json.encode(run) + b"\n" + b"".join(rest))
    (tmp_path / "mine.py").write_text("raise SystemError('imported')")
    found = answer("run", "--resume", "--out", copied)
    said, refused = found.err.splitlines()
    assert said == f"arbench: importing {tmp_path}/mine.py:Mine, which {file} names"
    assert (found.code, "imported" in refused) == (2, True)
    assert "This imports the models" in " ".join(answer("run", "--help").out.split())


def test_a_file_that_was_taken_away_ends_with_70(answer, copied, unrendered, small, monkeypatch, tmp_path):
    elsewhere = copied / "results-2.jsonl"
    elsewhere.write_bytes((copied / "results.jsonl").read_bytes())
    message = f"{copied}/results.jsonl was replaced while it was written; all results are in {elsewhere}"

    def taken(*_, **__):
        raise TakenError(message, read(elsewhere), elsewhere)

    monkeypatch.setattr("arbench.bench.runner.run_plan", taken)
    found = answer("run", *small, "--out", tmp_path / "new")
    assert (found.code, found.err) == (70, f"arbench: {message}\n")
    assert f"\nreport   {tmp_path}/new/report.html\nresults  {elsewhere}\n" in found.out
    assert issubclass(TakenError, ResultsError)


def test_results_that_could_not_be_flushed_are_shown(answer, copied, monkeypatch, small):
    def unflushed(*_, **__):
        raise WriteError("not flushed", closing=True)

    monkeypatch.setattr("arbench.bench.runner.run_plan", unflushed)
    found = answer("run", *small, "--resume", "--out", copied)
    assert (found.code, found.err) == (70, "arbench: not flushed\n")
    assert f"results  {copied}/results.jsonl\n" in found.out


def test_long_names_do_not_cost_the_report(answer, tmp_path, finished):
    whole = read(finished[0])
    with Writer(tmp_path / "results.jsonl") as writer:
        writer.write(msgspec.structs.replace(whole.run, sealed=False, plan={"cases": []}))
        for case in whole.cases.values():
            for last in "ab":
                name = "x" * 300 + last
                writer.write(msgspec.structs.replace(case, id=f"{name}{case.id}", model=name))
    assert isinstance(case, Case)
    found = answer("report", tmp_path)
    assert found.code == 0, found.err
    assert len(list((tmp_path / "figures").glob("x*-depth.svg"))) == 2

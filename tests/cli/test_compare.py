"""arbench compare: stored results side by side."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from arbench.results import Case, Samples, Writer, read
from arbench.results.errors import WRITES_IT


@pytest.fixture
def other(copied: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run that is twice as slow, with one more operation and four workers."""
    folder = tmp_path / "other"
    edited(copied, folder)
    return folder


def edited(source: Path, folder: Path, model: str | None = None, cpu: str | None = None) -> None:
    results = read(source)
    if cpu is not None:
        results.run.environment["cpu"]["model"] = cpu
    with Writer(folder / "results.jsonl") as writer:
        writer.write(results.run)
        for line in results.samples:
            for worker in (line.worker, line.worker + 2):
                doubled = [2 * s for s in line.seconds]
                writer.write(Samples(line.case, worker, line.round, line.started_at, doubled))
        for case in results.cases.values():
            named = case.id if model is None else case.id.replace(case.model, model)
            ops = None if case.ops is None else case.ops + 1
            median_s = None if case.median_s is None else 2 * case.median_s
            writer.write(msgspec.structs.replace(case, id=named, ops=ops, median_s=median_s, workers=4))


def test_two_runs_are_compared_in_time_and_exactly(answer, copied, other):
    found = answer("compare", copied, other)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    # each case takes twice as long, but where its intervals are wide that does not show
    assert re.match(r"other beside copied: (none|[1-4]) of 4 cases with time in both differ", lines[0])
    lines = lines[lines.index("Time, other over copied") :]
    assert lines[1].split()[:6] == ["op", "method", "N", "other", "/", "copied"]
    assert lines[3] == "wavenet:tiny"
    rows = [line.split() for line in lines[4:8]]
    assert [row[:3] for row in rows] == [
        ["score", "parallel", "8"],
        ["score", "parallel", "16"],
        ["sample", "cached", "8"],
        ["sample", "cached", "16"],
    ]
    assert "depth, nfe, flops, ops and bytes: 20 values compared, 4 differ." in found.out
    assert "arbench check" in found.out
    assert "Changed counters and statuses" in found.out


def test_the_numbers_of_a_comparison_as_json_and_as_files(answer, copied, other, tmp_path):
    out = tmp_path / "out"
    found = answer("compare", copied, other, "--json", "--label", "before", "--label", "after", "--out", out)
    assert found.code == 0
    plain = json.loads(found.out)
    assert plain["files"] == ["before", "after"]
    for row in plain["rows"]:
        if row["file"] == "after":  # each worker twice, twice as slow
            assert row["ratio_low"] <= 2 <= row["ratio_high"]
            assert (row["observations"], row["observations_first"]) == (4, 2)
            assert row["interval"] == "range"
    assert {(one["name"], one["after"] - one["before"]) for one in plain["changed"]} == {("ops", 1)}
    assert found.err == f"\ncompare  {out}/compare.html\n"
    assert {path.name for path in out.iterdir()} == {"compare.html", "compare.md", "compare.csv", "figures"}
    assert {path.suffix for path in (out / "figures").iterdir()} == {".svg", ".png"}
    assert len(pd.read_csv(out / "compare.csv")) == len(plain["rows"]) == 8
    page = (out / "compare.md").read_text()
    for path in (out / "figures").glob("*.svg"):
        assert f"(figures/{path.name})" in page


def test_other_metrics_and_their_names(answer, refusal, copied, other):
    found = answer("compare", copied, other, "--metric", "ops")
    assert "\n\nTensor operations, other over copied\n" in found.out
    said = refusal("compare", copied, other, "--metric", "second")
    assert said == "unknown metric 'second'; did you mean 'seconds'?"


def test_another_machine_is_compared_in_time_on_request_only(answer, refusal, copied, tmp_path):
    edited(copied, tmp_path / "other", cpu="Example 2")
    model = read(copied).run.environment["cpu"]["model"]
    told = f"other was not measured in the environment of copied: cpu.model ({model}, Example 2)"
    words = ("compare", copied, tmp_path / "other")
    found = answer(*words)
    assert (found.code, found.err) == (0, f"arbench: warning: {told}\n")
    assert "Time, other" not in found.out
    assert "20 values compared, 4 differ." in found.out
    assert "Not compared in time, only in exact counters: other (see --times)." in found.out
    insisted = answer(*words, "--times")
    assert "\n\nTime, other over copied\n" in insisted.out
    assert insisted.err == found.err
    assert refusal(*words, "--metric", "seconds") == f"{told}; add --times to compare time anyway"


def test_a_killed_run_and_a_baseline_are_compared_too(answer, copied, other):
    file = copied / "results.jsonl"
    raw = file.read_bytes().partition(b'{"kind":"case"')[0]
    file.write_bytes(raw)
    found = answer("compare", copied, other)
    assert found.code == 0
    assert "\n\nTime, other over copied\n" in found.out
    assert file.read_bytes() == raw
    baseline = other.parent / "baseline.jsonl"
    with Writer(baseline) as writer:
        for line in (read(other).run, *read(other).cases.values()):
            writer.write(msgspec.structs.replace(line, median_s=None) if isinstance(line, Case) else line)
    found = answer("compare", baseline, copied)
    assert found.code == 0
    assert "20 values compared, 4 differ." in found.out
    assert "No case has a time in two files." in found.out


def test_json_of_pytest_benchmark_is_compared(answer, copied, tmp_path):
    results = read(copied)
    rows = []
    for case in results.cases.values():
        facts = {name: getattr(case, name) for name in case.__struct_fields__ if name not in ("id", "verified")}
        facts |= {"spec": "wavenet:tiny", "verified": None}
        rows.append({"fullname": case.id, "stats": {"median": case.median_s, "rounds": 5}, "extra_info": facts})
    stored = tmp_path / "0001_first.json"
    machine = {"arbench": results.run.environment}
    stored.write_text(json.dumps({"benchmarks": rows, "machine_info": machine, "commit_info": {}}, indent=4))
    found = answer("compare", copied, stored)
    assert (found.code, found.err) == (0, "")
    assert "\n\nTime, 0001_first over copied\n" in found.out
    assert "20 values compared, none differs." in found.out
    assert "0001_first comes from pytest-benchmark: one process" in found.out


def test_a_row_without_a_finite_time_is_named(answer, tmp_path):
    for file, seconds in (("a", [1.0, 2.0]), ("b", [1.5, float("nan")])):
        rows = [
            {"fullname": name, "stats": {"median": median, "rounds": 5, "iqr": float("nan")}}
            for name, median in zip(("test_x", "test_y"), seconds, strict=True)
        ]
        (tmp_path / f"{file}.json").write_text(json.dumps({"benchmarks": rows, "machine_info": {}}))
    found = answer("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert (found.code, found.err) == (0, "")
    assert "1.5x" in found.out
    assert "Passed over: 1 without a finite time above 0 (test_y in b)." in " ".join(found.out.split())


def test_files_are_named_after_their_folders_as_far_as_it_takes(answer, copied, tmp_path):
    for place in ("one/run", "two/run", "three"):
        shutil.copytree(copied, tmp_path / place)
    words = [tmp_path / place for place in ("one/run", "two/run/results.jsonl", "three")]
    assert json.loads(answer("compare", *words, "--json").out)["files"] == ["one/run", "two/run", "three"]
    found = answer("compare", *words, "--json", "--label", "first")
    assert json.loads(found.out)["files"] == ["first", "two/run", "three"]


def test_what_cannot_be_compared_is_refused_in_one_line(refusal, copied, other, tmp_path):
    file = copied / "results.jsonl"
    none = tmp_path / "none.jsonl"
    (tmp_path / "text.json").write_text("hello")
    for words, said in (
        ([], "compare needs at least two files: arbench compare A B"),
        ([copied], "compare needs at least two files: arbench compare A B"),
        ([copied, file], f"{file}: the same file twice; name two different files"),
        ([copied, none], f"{none}: No such file or directory; {WRITES_IT}"),
        ([copied, tmp_path], f"{tmp_path}/results.jsonl: No such file or directory; {WRITES_IT}"),
        ([copied, other, "--label", "a", "--label", "a"], "--label: 'a' names two files; choose different names"),
        ([copied, other, "--label", "other"], "--label: 'other' names two files; choose different names"),
        ([copied, other, "--label", " "], "--label is empty; give each file a name"),
        ([copied, other, *["--label", "a"] * 3], "3 labels for 2 files; give at most one --label per file"),
        ([copied, other, "--out", file], f"--out {file}: cannot be written (File exists); choose another folder"),
    ):
        assert refusal("compare", *words) == said
    assert refusal("compare", copied, tmp_path / "text.json").startswith(
        f"{tmp_path}/text.json: neither a results file nor a complete JSON file of pytest-benchmark ("
    )


def test_nothing_in_common_ends_with_three(answer, copied, tmp_path):
    edited(copied, tmp_path / "other", model="mine")
    found = answer("compare", copied, tmp_path / "other", "--out", tmp_path / "out")
    assert (found.code, found.out) == (3, "")
    assert found.err == "arbench: no case of copied is in other\n"


def test_a_long_list_of_changes_is_cut_on_a_terminal_alone(answer, copied, other, monkeypatch):
    monkeypatch.setattr("arbench.cli.compare.MOST", 3)
    found = answer("compare", copied, other)
    cut = found.out[found.out.index("Changed counters and statuses") :].splitlines()
    assert [line.split()[0] for line in cut[3:6]] == ["wavenet:tiny"] * 3
    assert cut[6:8] == ["and 1 more; --json and --out list all", ""]
    assert len(json.loads(answer("compare", copied, other, "--json").out)["changed"]) == 4

"""Stored measurements are read in either format; anything else is refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbench.bench.case import CaseKey
from arbench.gate.stored import read_stored
from arbench.results import Case, ResultsError, Run, Writer
from arbench.results.errors import WRITES_IT

KEY = CaseKey(
    spec="wavenet:tiny",
    model="wavenet",
    preset="tiny",
    op="sample",
    method="cached",
    backend="eager",
    device="cpu",
    dtype="float32",
    batch=1,
    n=64,
    element="audio sample",
    weights=1234,
    exactness="pointwise",
    rate_hz=16000.0,
    claimed_depth="N",
)
RUN = Run(
    schema=1,
    run_id="r",
    started_at="2026-01-05T12:00:00+00:00",
    argv=[],
    seed=0,
    git=None,
    plan={},
    environment={},
    limits={},
)
ROW = Case(
    id="a",
    model="wavenet",
    preset="tiny",
    op="sample",
    method="cached",
    backend="eager",
    device="cpu",
    dtype="float32",
    batch=1,
    n=64,
    element="audio sample",
    weights=1,
    status="ok",
    exactness="pointwise",
    depth=7,
)


def row(fullname: str, median: float = 0.5, rounds: int = 9, **info: Any) -> dict[str, Any]:
    """Return a benchmark in the format of pytest-benchmark 5."""
    stats = {"min": 0.4, "max": 0.7, "mean": 0.5, "median": median, "rounds": rounds, "iterations": 3}
    named = {"group": None, "name": fullname, "fullname": fullname, "params": None, "param": None}
    return {**named, "extra_info": info, "options": {"timer": "perf_counter"}, "stats": stats}


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    """Return a function that writes such a file; keywords replace its parts, None drops one."""

    def write(*rows: dict[str, Any], **parts: Any) -> Path:
        whole = {
            "machine_info": {
                "node": "somebody-s-laptop",
                "machine": "x86_64",
                "python_version": "3.12.1",
                "release": "6.1",
                "system": "Linux",
                "cpu": {"brand_raw": "Example CPU", "count": 8},
            },
            "commit_info": {"id": "0123456789abcdef0123456789abcdef01234567", "dirty": True, "branch": "b"},
            "benchmarks": list(rows),
            "datetime": "2026-01-05T12:00:00+00:00",
            "version": "5.3.1",
        }
        whole = {name: part for name, part in (whole | parts).items() if part is not None}
        path = tmp_path / "0001_first.json"
        path.write_text(json.dumps(whole, indent=4))
        return path

    return write


def test_rows_of_our_suites_are_the_cases_that_a_run_names(stored: Any) -> None:
    counters = {"depth": 640, "nfe": 64, "flops": 10, "ops": 20, "bytes": 30, "peak_bytes": None}
    info = {**msgspec.to_builtins(KEY), **counters, "count_source": "counted", "verified": "draws again"}
    results = read_stored(stored(row("benchmarks/test_models.py::test_case[x]", **info)))
    (case,) = results.cases.values()
    assert case.id == "wavenet:tiny/sample/cached/eager/cpu/float32/b1/n64" == KEY.id
    assert (case.model, case.method, case.n, case.rate_hz, case.weights) == ("wavenet", "cached", 64, 16000.0, 1234)
    assert {name: getattr(case, name) for name in counters} == counters
    assert (case.status, case.count_source, case.verified) == ("ok", "counted", {"how": "draws again"})
    assert (case.median_s, case.workers, case.samples) == (0.5, 1, 9)
    assert (case.ci95_s, case.range_s, case.why_unknown) == (None, None, None)


def test_a_stored_row_whose_depth_is_unknown_says_why(stored: Any) -> None:
    info = {**msgspec.to_builtins(KEY), "depth": None, "count_source": "counted", "why_unknown": "opaque"}
    (case,) = read_stored(stored(row("a", **info))).cases.values()
    assert (case.depth, case.why_unknown) == (None, "opaque")


def test_files_from_before_there_were_counters_and_calls_that_do_it_several_times(stored: Any) -> None:
    info = msgspec.to_builtins(KEY) | {"flops": 7, "times": 4}
    old = msgspec.to_builtins(msgspec.structs.replace(KEY, n=128))
    first, second = read_stored(stored(row("a", **info), row("b", **old))).cases.values()
    assert (first.median_s, first.flops, first.count_source) == (0.125, 7, "formula")
    assert (second.depth, second.count_source, second.verified) == (None, "none", None)


def test_rows_of_other_suites_keep_their_name_and_nothing_else(stored: Any) -> None:
    results = read_stored(stored(row("tests/test_x.py::test_y[a/b-1]", median=2e-6, n=5, model="mine")))
    (case,) = results.cases.values()
    assert (case.id, case.model) == ("tests/test_x.py::test_y[a/b-1]",) * 2
    assert (case.median_s, case.n, case.backend, case.depth) == (2e-6, 1, "", None)


def test_the_run_says_where_and_when(stored: Any) -> None:
    run = read_stored(stored(row("a"))).run
    assert (run.started_at, run.git) == ("2026-01-05T12:00:00+00:00", "0123456789ab+")
    assert run.environment["cpu"] == {"model": "Example CPU", "logical_cores": 8}
    assert run.environment["versions"] == {"python": "3.12.1"}
    assert "somebody" not in msgspec.json.encode(run).decode()
    bare = read_stored(stored(row("a"), commit_info=None, datetime=None)).run
    assert (bare.git, bare.started_at) == (None, "")
    for none in ("unversioned", "unknown", "", None):  # it says so where there is no repository
        commit = {"id": none, "time": "2026-01-02T12:00:00+00:00", "dirty": False, "branch": "(unknown)"}
        run = read_stored(stored(row("a"), commit_info=commit)).run
        assert (run.git, run.committed_at) == (None, None)
    for when in ("2026-01-02T12:00:00+00:00", None):
        commit = {"id": "f" * 40, "time": when, "dirty": False}
        assert read_stored(stored(row("a"), commit_info=commit)).run.committed_at == when
    own = {"arbench": {"versions": {"torch": "2.11"}}}
    assert read_stored(stored(row("a"), machine_info=own)).run.environment == own["arbench"]


def test_results_files_folders_and_baselines_are_read_as_they_are(tmp_path: Path) -> None:
    with Writer(tmp_path / "run" / "results.jsonl") as writer:
        writer.write(RUN)
        writer.write(ROW)
    named = tmp_path / "baseline.json"
    named.write_bytes((tmp_path / "run" / "results.jsonl").read_bytes())
    for path in (tmp_path / "run", tmp_path / "run" / "results.jsonl", named):
        assert read_stored(path).cases["a"].depth == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty; a results file begins with a 'run' line"),
        ("hello\n", "neither a results file nor a complete JSON file of pytest-benchmark ("),
        ("[" * 100_000, "neither a results file nor a complete JSON file of pytest-benchmark ("),
        ('{"benchmarks": [\n', "neither a results file nor a complete JSON file of pytest-benchmark ("),
        ("[1, 2]", "neither a results file nor a JSON file of pytest-benchmark"),
        ('{"a": 1}', "neither a results file nor a JSON file of pytest-benchmark"),
        ('{"kind": "case"}\n', "Object missing required field"),
        (
            '{"benchmarks": []}',
            "not the format of pytest-benchmark: Object missing required field `machine_info`",
        ),
        (
            '{"benchmarks": [{"fullname": "a"}], "machine_info": {}}',
            "not the format of pytest-benchmark: Object missing required field `stats` - at `$.benchmarks[0]`",
        ),
    ],
)
def test_what_is_neither_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(ResultsError) as refused:
        read_stored(path)
    line = str(refused.value)
    assert line.startswith(str(path))
    assert said in line
    assert "\n" not in line


def test_rows_that_make_no_sense_are_refused(stored: Any) -> None:
    info = msgspec.to_builtins(KEY)
    for rows, said in (
        ([row("a"), row("a")], "'a' occurs twice"),
        ([row("a", median=0.0)], "'a' has no time"),
        ([row("a", **{**info, "n": "many"})], "Expected `int`, got `str` - at `$.n`"),
        ([row("a", **info, times=0)], "'a' has 'times' 0; it must be at least 1"),
        ([row("a", **info, depth=1.5)], "Expected `int | null`, got `float` - at `$.depth`"),
        ([row("a", **info, times=2**63)], "Expected `int` <= 9223372036854775807 - at `$.times`"),
        ([row("a", **info, depth=-1)], "Expected `int` >= 0 - at `$.depth`"),
        ([row("a", median=1e-300)], "Expected `float` >= 1e-15 - at `$.median_s`"),
    ):
        path = stored(*rows)
        with pytest.raises(ResultsError) as refused:
            read_stored(path)
        assert str(refused.value) == f"{path}: not the format of pytest-benchmark: {said}"


@pytest.mark.parametrize("none", [float("nan"), float("inf"), None])
def test_numbers_that_are_not_finite_are_unknown(stored: Any, none: float | None) -> None:
    """The writer of pytest-benchmark puts NaN and Infinity, which are not JSON, into its files."""
    counted = row("b", none, **msgspec.to_builtins(KEY), depth=5)  # type: ignore[arg-type]
    path = stored(row("a", 0.25, ratio=float("nan")), row("c", none), counted)  # type: ignore[arg-type]
    cases = read_stored(path).cases
    assert {name: one.median_s for name, one in cases.items()} == {"a": 0.25, "c": None, KEY.id: None}
    assert cases[KEY.id].depth == 5


def test_half_a_surrogate_pair_is_spelled_out_in_names_and_keys(stored: Any) -> None:
    """A file's name that is not UTF-8 may be part of a benchmark's; JSON can say so, a string of msgspec cannot."""
    path = stored(row("a\udcff", **msgspec.to_builtins(KEY), **{"b\udcff": {"\ud800": 1}}), row("a\udcff"))
    assert list(read_stored(path).cases) == [KEY.id, r"a\udcff"]


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(ResultsError) as refused:
        read_stored(tmp_path / "a.json")
    what = "not a regular file; save its content to a file, and name that"
    assert str(refused.value) == f"{tmp_path}/a.json: {what}"


def test_a_place_without_a_file_is_refused_and_a_storage_says_what_to_name(stored: Any, tmp_path: Path) -> None:
    for path, file in ((tmp_path / "none", "none"), (tmp_path, "results.jsonl")):
        with pytest.raises(ResultsError) as refused:
            read_stored(path)
        assert str(refused.value) == f"{tmp_path / file}: No such file or directory; {WRITES_IT}"
    folder = tmp_path / "Linux-CPython-3.11-64bit"
    folder.mkdir()
    stored(row("a")).rename(folder / "0001_first.json")
    with pytest.raises(ResultsError) as refused:
        read_stored(tmp_path)
    named = folder / "0001_first.json"
    assert str(refused.value) == f"{tmp_path}: a folder of pytest-benchmark; name a file in it, such as {named}"


def test_a_path_with_a_null_character_is_refused_in_one_line():
    with pytest.raises(ResultsError, match=r"embedded null byte$"):
        read_stored(Path("a\0b"))

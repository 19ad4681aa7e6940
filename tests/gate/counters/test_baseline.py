"""Baseline files: stored fields, refusals, and complete writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from arbench.bench.plan import make_plan
from arbench.gate.counters import baseline as module
from arbench.gate.counters.baseline import BaselineError, check_replaceable, check_writable, load, save
from arbench.results import Writer, read

ROOT = Path(__file__).parents[3]


@pytest.fixture
def synthetic(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).parents[1] / "synthetic.py")


@pytest.fixture
def side(synthetic: ModuleType):
    """Return the function that makes one side of a comparison."""
    return synthetic.side


@pytest.fixture
def options(synthetic: ModuleType):
    """Return the options of both sides."""
    return synthetic.OPTIONS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "exact.jsonl"


def test_what_is_written_reads_back_without_times(side, options, file):
    row = {"median_s": 0.1, "workers": 6, "verified": {"call_s": 0.2}, "why_unknown": "opaque"}
    results, _ = side(32, 8, 16, row=row)
    assert save(file, results, options)
    found = load(file)
    assert found.options.as_plan() == options.as_plan()
    assert found.written_by_save
    assert [row.n for row in found.rows.values()] == [8, 16, 32]
    for kept in found.rows.values():
        assert (kept.median_s, kept.workers, kept.verified, kept.why_unknown) == (None, 0, None, None)
        assert kept.depth == results.cases[kept.id].depth
    assert found.run.argv == []
    assert found.run.environment == {
        "cpu": {"model": "Example", "capability": "AVX2"},
        "versions": {"python": "3.12.1", "torch": "2.13.0+cpu", "cuda": None, "triton": None},
    }
    assert len(read(file).cases) == 3  # any reader of results files reads it
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_one_counter_is_one_line_of_a_diff(side, options, file):
    save(file, side()[0], options)
    before = file.read_text().splitlines()
    save(file, side(ops=lambda n: 63 * n + 5 + (n == 16))[0], options)
    after = file.read_text().splitlines()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True]
    assert max(map(len, after[1:])) < 450


def test_what_says_the_same_is_left_untouched(side, options, file):
    save(file, side()[0], options)
    before = file.stat()
    results, _ = side()
    later = msgspec.structs.replace(results.run, run_id="other", started_at="2026-02-01T00:00:00+00:00")
    results.run = later
    assert not save(file, results, options)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert save(file, results, replace(options, seed=1))
    assert load(file).run.run_id == "other"


@pytest.mark.parametrize("fails", ["replace", "fsync"])
def test_a_failing_update_leaves_the_old_file_and_nothing_else(side, options, file, monkeypatch, fails):
    save(file, side()[0], options)
    before = file.read_bytes()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, fails, refuse)
    with pytest.raises(BaselineError) as error:
        save(file, side(8)[0], options)
    assert str(error.value) == f"cannot write {file}: No space left on device; the existing file is unchanged"
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_an_interrupt_in_an_update_leaves_the_old_file(side, options, file, monkeypatch):
    save(file, side()[0], options)
    before = file.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(file, side(8)[0], options)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_every_way_to_cut_a_baseline_short_is_refused(side, options, file):
    save(file, side()[0], options)
    whole = file.read_bytes()
    for length in (*range(0, len(whole) - 1, 97), len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(BaselineError) as error:
            load(file)
        assert str(error.value).startswith(str(file))
        assert "\n" not in str(error.value)
    file.write_bytes(whole)
    load(file)


def test_a_run_of_arbench_serves_and_is_never_replaced(side, file):
    results, _ = side(row={"median_s": 0.1})
    with Writer(file) as writer:
        for line in (results.run, *results.cases.values()):
            writer.write(line)
    found = load(file)
    assert list(found.rows) == list(results.cases)
    assert not found.written_by_save
    with pytest.raises(BaselineError) as error:
        check_replaceable(file)
    assert str(error.value) == (f"{file}: contains times, which --update would delete; name another file")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(BaselineError) as error:
        load(file)
    assert (
        str(error.value) == f"{file}: unfinished run: it contains 2 of the 3 cases of its plan; "
        f"finish the run with --resume --out {file.parent}"
    )
    with pytest.raises(BaselineError, match=r"cases of its plan; name another file$"):
        check_replaceable(file)


def test_options_of_another_version_are_refused_with_one_advice(side, options, file):
    save(file, side()[0], options)
    file.write_text(file.read_text().replace('"target_ci":', '"target_ci":"many","before":', 1))
    for reader in (load, check_replaceable):
        with pytest.raises(BaselineError) as error:
            reader(file)
        assert str(error.value).startswith(f"{file}: this version of arbench does not know its options (")
        assert str(error.value).endswith("); remove it and write it again with --update")


def test_paths_are_stored_as_seen_from_the_file(side, options, tmp_path, monkeypatch):
    (tmp_path / "ci").mkdir()
    (tmp_path / "else" / "where").mkdir(parents=True)
    asked = replace(
        options,
        models=["models/mine.py:Mine:tiny", "wavenet:nv"],
        suite=str(tmp_path / "perf.toml"),
        data="sound.wav",
        weights=str(tmp_path / "w.safetensors"),
    )
    monkeypatch.chdir(tmp_path)
    save(Path("ci/exact.jsonl"), side()[0], asked)
    stored = read(Path("ci/exact.jsonl")).run.plan["options"]
    assert stored["models"] == ["../models/mine.py:Mine:tiny", "wavenet:nv"]
    assert (stored["suite"], stored["data"], stored["weights"]) == (
        "../perf.toml",
        "../sound.wav",
        "../w.safetensors",
    )
    assert str(tmp_path) not in Path("ci/exact.jsonl").read_text()
    monkeypatch.chdir(tmp_path / "else" / "where")
    found = load(Path("../../ci/exact.jsonl")).options
    assert found.models == ["../../models/mine.py:Mine:tiny", "wavenet:nv"]
    assert [os.path.realpath(path) for path in (found.suite, found.data, found.weights)] == [
        str(tmp_path / name) for name in ("perf.toml", "sound.wav", "w.safetensors")
    ]


def test_paths_are_seen_from_the_file_that_a_link_leads_to(side, options, tmp_path):
    (tmp_path / "kept").mkdir()
    asked = replace(options, data=str(tmp_path / "kept" / "sound.wav"))
    save(tmp_path / "kept" / "exact.jsonl", side()[0], asked)
    (tmp_path / "linked").symlink_to("kept/exact.jsonl")
    found = load(tmp_path / "linked").options
    assert os.path.realpath(found.data) == str(tmp_path / "kept" / "sound.wav")


@pytest.mark.parametrize("asked", ["null", "5", '"kernels"', "[]"])
def test_a_plan_of_somebody_elses_is_refused(side, options, file, asked):
    save(file, side()[0], options)
    first, _, rest = file.read_text().partition("\n")
    run = msgspec.json.decode(first)
    run["plan"]["options"] = msgspec.json.decode(asked)
    file.write_text(msgspec.json.encode(run).decode() + "\n" + rest)
    with pytest.raises(BaselineError) as error:
        load(file)
    found = type(run["plan"]["options"]).__name__.replace("NoneType", "null").replace("list", "array")
    assert str(error.value) == f"{file}:1: 'plan': Expected `object`, got `{found}` - at `$.options`"


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    path = tmp_path / ("a" * 300)
    for refuses in (load, lambda path: (check_replaceable(path), check_writable(path))):
        with pytest.raises(BaselineError, match=r"(: |\()File name too long"):
            refuses(path)


def test_a_shipped_suite_is_stored_by_its_name(side, options, file):
    save(file, side()[0], replace(options, models=None, suite="exact"))
    assert load(file).options.suite == "exact"


def test_the_committed_baseline_is_of_the_suite_that_ships():
    """Its cases are compared, not its counters, which may depend on the installed torch."""
    found = load(ROOT / "benchmarks" / "baselines" / "exact.jsonl")
    assert found.options is not None
    assert found.options.suite == "exact"
    assert found.rows.keys() == {case.id for case in make_plan(found.options).cases}
    assert {row.status for row in found.rows.values()} == {"ok"}
    assert {row.count_source for row in found.rows.values()} == {"counted"}

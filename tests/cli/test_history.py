"""arbench history: the files it reads, the order of commits, and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest

from arbench.results import Case, Run, Writer

ENVIRONMENT = {"cpu": {"model": "Chip"}, "threads": {"torch": 1}, "versions": {"torch": "2.13.0+cpu"}}


def case(seconds: float, method: str = "cached", n: int = 16, depth: int = 40) -> Case:
    return Case(
        id=f"wavenet:tiny/sample/{method}/eager/cpu/float32/b1/n{n}",
        model="wavenet",
        preset="tiny",
        op="sample",
        method=method,
        backend="eager",
        device="cpu",
        dtype="float32",
        batch=1,
        n=n,
        element="audio sample",
        weights=7,
        status="ok",
        exactness="pointwise",
        depth=depth,
        median_s=seconds,
    )


def put(folder: Path, number: int, *cases: Case, git: str | None = "") -> Path:
    commit = f"{number:012x}" if git == "" else git
    made = f"2026-03-{number + 1:02}T10:00:00+00:00"
    with Writer(folder / "results.jsonl") as writer:
        writer.write(Run(1, f"run {number}", made, [], 0, commit, {}, ENVIRONMENT, {}))
        for one in cases:
            writer.write(one)
    return folder / "results.jsonl"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return twenty runs; from the eleventh on, cached sampling takes 50% longer and its depth is 2 more."""
    noise = np.exp(np.random.default_rng(0).normal(0, 0.01, (20, 2))).tolist()
    for i, (one, other) in enumerate(noise):
        put(
            tmp_path / "runs" / f"{19 - i:02}",
            i,
            case(1e-3 * one * (1.5 if i >= 10 else 1), depth=42 if i >= 10 else 40),
            case(5e-3 * other, "naive", 32),
        )
    return tmp_path / "runs"


def stored(folder: Path, seconds: float, name: str = "0001_stored.json", **commit: object) -> Path:
    """Write a file as pytest-benchmark stores it, from a foreign suite."""
    whole = {
        "machine_info": {"cpu": {"brand_raw": "Chip", "count": 2}, "python_version": "3.12.1"},
        "commit_info": {"id": "f" * 40, "dirty": False, **commit},
        "benchmarks": [{"fullname": "test_mine.py::test_sort", "stats": {"median": seconds, "rounds": 5}}],
        "datetime": "2026-03-25T10:00:00+00:00",
        "version": "5.1.0",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(json.dumps(whole))
    return file


def test_a_folder_is_searched_and_its_step_is_told(answer, runs) -> None:
    found = answer("history", runs)
    assert (found.code, found.err) == (0, "")
    title, heads, _, row, *notes = found.out.splitlines()
    assert title == "Steps of time over 20 commits, 2026-03-01 to 2026-03-20"
    assert heads.split() == ["case", "from", "commit", "date", "before", "after", "change", "p"]
    assert row.startswith(f"wavenet:tiny sampling cached, N = 16  {10:012x}  2026-03-11 10:00")
    assert "slower" in row
    assert notes[:2] == ["No step in 1 of 2 series.", "Machine: Chip, 1 thread, torch 2.13"]


def test_counters_step_at_every_change(answer, runs) -> None:
    found = answer("history", runs, "--metric", "depth", "--method", "cached")
    assert found.code == 0
    assert f"{10:012x}  2026-03-11 10:00      40     42  5% more" in found.out


def test_the_old_name_of_metric_still_works_with_a_warning(answer, refusal, runs) -> None:
    words = ("history", runs, "--method", "cached")
    old, new = (answer(*words, option, "depth") for option in ("--measure", "--metric"))
    assert (old.code, old.out) == (0, new.out)
    assert old.err == "arbench: warning: --measure is now --metric and stops working in the next release\n"
    assert new.err == ""
    assert "--measure" not in answer("history", "--help").out
    said = refusal(*words, "--measure", "depth", "--metric", "depth")
    assert said == "--measure is the old name of --metric; give --metric only"


def test_files_of_pytest_benchmark_are_found_and_other_json_is_not_read(answer, tmp_path) -> None:
    stored(tmp_path / ".benchmarks" / "Linux", 2e-3)
    (tmp_path / "other.json").write_text('{"benchmarks": 3}')
    (tmp_path / "broken.json").write_text("{")
    found = answer("history", tmp_path, "--json")
    assert (found.code, found.err) == (0, "")
    (series,) = json.loads(found.out)["series"]
    assert series["case"] == "test_mine.py::test_sort"
    assert series["machine"] == "Chip, pytest-benchmark"
    assert series["points"][0]["value"] == 2e-3


def test_the_same_file_twice_is_one_observation(answer, runs) -> None:
    file = runs / "00" / "results.jsonl"
    found = answer("history", runs, file, runs / "00", "--json")
    assert {point["count"] for one in json.loads(found.out)["series"] for point in one["points"]} == {1}


def test_filters_narrow_what_is_shown(answer, runs) -> None:
    def cases(*words: object) -> list[str]:
        return [one["case"] for one in json.loads(answer("history", runs, "--json", *words).out)["series"]]

    cached, naive = cases()
    assert cases("--method", "naive") == cases("--n", "32,64") == cases("--case", "/naive/") == [naive]
    assert cases("--model", "wavenet") == cases("--model", "wavenet:tiny", "--op", "sample") == [cached, naive]


def test_a_repository_orders_the_commits(answer, tmp_path) -> None:
    repo = tmp_path / "repo"
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    made = []
    for number in range(3):
        empty = ["commit", "-q", "--allow-empty", "-m", str(number)]
        subprocess.run(["git", "-C", str(repo), *who, *empty], check=True)
        said = subprocess.run(["git", "-C", str(repo), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        made.append(said.stdout[:12])
    for number, commit in enumerate(reversed(made)):  # measured from the last to the first
        put(tmp_path / "runs" / str(number), number, case(1e-3, depth=40 + number), git=commit)
    found = answer("history", tmp_path / "runs", "--metric", "depth", "--repo", repo, "--json")
    whole = json.loads(found.out)
    assert [one["commit"] for one in whole["commits"]] == made
    assert [point["value"] for point in whole["series"][0]["points"]] == [42, 41, 40]
    assert whole["ordered_by"] == "git"
    by_time = json.loads(answer("history", tmp_path / "runs", "--json").out)
    assert [one["commit"] for one in by_time["commits"]] == made[::-1]


@pytest.fixture
def shallow(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """Return a clone of the newest of three commits, a day apart, with the hashes and the times of all."""
    repo, who = tmp_path / "repo", ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    days = [f"2026-03-{day:02}T10:00:00+00:00" for day in (1, 2, 3)]
    for day in days:
        empty = ["commit", "-q", "--allow-empty", "-m", day]
        environment = {**os.environ, "GIT_COMMITTER_DATE": day}
        subprocess.run(["git", "-C", str(repo), *who, *empty], check=True, env=environment)
    log = ["git", "-C", str(repo), "log", "--reverse", "--format=%H"]
    made = subprocess.run(log, capture_output=True, text=True, check=True).stdout.split()
    clone = ["git", "clone", "-q", "--depth", "1", repo.as_uri(), str(tmp_path / "clone")]
    subprocess.run(clone, check=True)
    return tmp_path / "clone", made, days


def test_a_shallow_clone_does_not_order_by_the_time_of_measurement(answer, refusal, shallow, tmp_path) -> None:
    clone, made, days = shallow
    for number, (commit, day) in enumerate(zip(made, days, strict=True)):  # measured from the newest to the oldest
        file = stored(tmp_path / "runs", 1e-3 + number, f"{number:04}_it.json", id=commit, time=day)
        file.write_text(file.read_text().replace("2026-03-25", f"2026-03-{25 - number}"))
    found = answer("history", tmp_path / "runs", "--repo", clone, "--json")
    assert [one["commit"] for one in json.loads(found.out)["commits"]] == [one[:12] for one in made]
    some = f"{clone}: a shallow clone, which lacks 2 of the measured commits, such as {made[0][:12]}"
    remedy = f"run git -C {clone} fetch --unshallow"
    assert found.err == (f"arbench: warning: {some}; they are placed by their commit times; {remedy} for their order\n")
    by_time = json.loads(answer("history", tmp_path / "runs", "--json").out)
    assert [one["commit"] for one in by_time["commits"]] == [one[:12] for one in made]
    put(tmp_path / "runs" / "mine", 1, case(1e-3), git=made[0][:12])  # does not say when its commit was made
    assert refusal("history", tmp_path / "runs" / "mine", "--repo", clone) == (
        f"{some.replace('lacks 2', 'lacks 1')}; {remedy}"
    )
    subprocess.run(["git", "-C", str(clone), "fetch", "-q", "--unshallow"], check=True)
    whole = answer("history", tmp_path / "runs", "--repo", clone, "--json")
    assert (whole.code, whole.err) == (0, "")


def test_a_model_is_found_by_each_of_its_names(answer, tmp_path) -> None:
    mine = msgspec.structs.replace(case(1e-3), id="my_model.Bigram:tiny/x", model="my_model.Bigram")
    put(tmp_path / "run", 1, mine)
    for name in ("my_model.Bigram", "my_model.Bigram:tiny", "path/to/my_model.py:Bigram", "pkg.my_model:Bigram:tiny"):
        assert answer("history", tmp_path, "--model", name).code == 0, name
    for name in ("path/my_model.py:Other", "other.py:Bigram", "path/to/my_model.py:Bigram:large"):
        assert answer("history", tmp_path, "--model", name).code == 3, name


def test_out_holds_page_data_and_figures_and_is_not_read_again(answer, runs) -> None:
    found = answer("history", runs, "--out", runs / "shown")
    assert found.code == 0
    assert found.out.endswith(f"\nhistory  {runs}/shown/history.html\n")
    names = {path.name for path in (runs / "shown").rglob("*") if path.is_file()}
    assert names == {
        "history.html",
        "history.md",
        "history.csv",
        "history.json",
        "wavenet-tiny-sampling-seconds.svg",
        "wavenet-tiny-sampling-seconds.png",
    }
    again = answer("history", runs)
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[0] == found.out.splitlines()[0]


def test_json_is_alone_on_the_output(answer, runs, tmp_path) -> None:
    found = answer("history", runs, "--json", "--out", tmp_path / "shown")
    assert msgspec.json.decode(found.out)["metric"] == "seconds"
    assert found.err == f"\nhistory  {tmp_path}/shown/history.html\n"


def test_a_broken_file_that_was_found_is_passed_over_with_a_warning_and_without_torch(finish, runs) -> None:
    (runs / "03" / "results.jsonl").write_text("{}\n")
    before = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "
    found = finish("history", runs, before=before)
    assert found.code == 0
    warning, torch = found.err.splitlines()
    assert warning.startswith(f"arbench: warning: skipped {runs}/03/results.jsonl")
    assert torch == "False"
    assert "over 19 commits" in found.out


def test_every_file_that_is_passed_over_is_named_with_the_reason(answer, tmp_path) -> None:
    for number, seconds in enumerate((1e-3, float("nan"), float("inf"))):
        stored(tmp_path / "good", seconds, f"{number:04}_it.json", id=f"{number}" * 40)
    cut = stored(tmp_path / "bad", 1e-3)
    cut.write_text(cut.read_text()[:-9])
    for name in ("a", "b"):
        file = put(tmp_path / "bad" / name, 1, case(1e-3))
        file.write_text(f"{file.read_text()}broken\n")
    os.mkfifo(tmp_path / "bad" / "pipe.json")
    os.mkfifo(tmp_path / "bad" / "results.jsonl")
    (tmp_path / "bad" / "notes.json").write_text("[1]")
    (tmp_path / "bad" / "half.json").write_text("[1")
    put(tmp_path / "bad" / "c", 1, case(1e-3)).rename(tmp_path / "bad" / "old.jsonl")
    found = answer("history", tmp_path)
    assert found.code == 0
    why = "not a regular file; save its content to a file, and name that"
    bad = tmp_path / "bad"
    broken, pipe, both = found.err.splitlines()
    assert pipe == f"arbench: warning: skipped {bad}/results.jsonl: {why}"
    assert broken.startswith(f"arbench: warning: skipped {cut}: neither a results file nor a complete JSON file of")
    assert both == (
        "arbench: warning: skipped 2 places (line 3: JSON is malformed: invalid character (byte 0); the file is "
        "damaged, or no results file: restore it, or measure again with arbench run --out FOLDER): "
        f"{bad}/a/results.jsonl, {bad}/b/results.jsonl"
    )
    rows, files = found.out.splitlines()[-2:]
    assert rows == "Passed over: 2 without a finite time above 0 (test_mine.py::test_sort)."
    assert files == (
        f"Passed over: 1 not complete JSON ({bad}/half.json); 1 JSON of another program ({bad}/notes.json); "
        f"1 not called results.jsonl ({bad}/old.jsonl); 1 unreadable, {why} ({bad}/pipe.json)"
    )
    (tmp_path / "good" / "0000_it.json").unlink()
    nothing = answer("history", tmp_path / "good")
    assert (nothing.code, nothing.out) == (3, "")
    assert nothing.err == (
        "arbench: no matching case has time in these files; passed over: 2 without a finite time above 0 "
        "(test_mine.py::test_sort)\n"
    )


def test_a_broken_file_that_was_named_is_refused(refusal, runs) -> None:
    file = runs / "03" / "results.jsonl"
    file.write_text("{}\n")
    assert refusal("history", file).startswith(f"{file}")


def test_wrong_use_is_refused_on_one_line(refusal, runs, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert refusal("history", tmp_path / "none") == f"{tmp_path}/none: no such file or folder"
    assert refusal("history", tmp_path / "empty") == (
        f"{tmp_path}/empty: no readable results.jsonl and no readable JSON of pytest-benchmark"
    )
    assert refusal("history", runs, "--metric", "dept") == "unknown metric 'dept'; did you mean 'depth'?"
    assert refusal("history", runs, "--repo", tmp_path / "none").startswith(f"{tmp_path}/none: git cannot read it")
    assert "Missing argument" in refusal("history")
    (tmp_path / "file").touch()
    said = refusal("history", runs, "--out", tmp_path / "file")
    assert said == f"--out {tmp_path}/file: cannot be written (File exists); choose another folder"


@pytest.mark.parametrize("words", [["--model", "lstm"], ["--metric", "peak_bytes"], ["--n", "17"]])
def test_nothing_to_show_ends_with_3(answer, runs, words) -> None:
    found = answer("history", runs, *words)
    assert (found.code, found.out) == (3, "")
    assert found.err.startswith("arbench: no matching case has ")
    assert found.err.count("\n") == 1

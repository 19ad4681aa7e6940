"""arbench check against a baseline: output, files, refusals, and what remains after a kill."""

from __future__ import annotations

import os
import shutil
import signal
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import msgspec
import psutil
import pytest

from arbench.bench.progress import Quiet
from arbench.findings import Check
from arbench.gate.counters.check import open_gate
from arbench.gate.timing.check import Gate, GateError
from arbench.results import Case, Writer, read
from arbench.results.errors import WRITES_IT

MINE = ["--model", "wavenet:tiny", "--n", "4,8", "--method", "parallel", "--method", "cached"]
ID = "wavenet:tiny/sample/cached/eager/cpu/float32/b1/n4"


@pytest.fixture(scope="module")
def made(load: Callable[[Path], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a baseline of four cases."""
    from arbench.bench import prove

    file = tmp_path_factory.mktemp("baseline") / "exact.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prove, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)
        gate = open_gate(file, {"models": ["wavenet:tiny"], "n": [4, 8], "methods": ["parallel", "cached"]}, True)
        gate.save(gate.prove(Quiet()))
    return file


@pytest.fixture
def file(inside: None, made: Path, tmp_path: Path) -> Path:
    """Return a copy of it. What is checked against it is counted in this process."""
    return Path(shutil.copy(made, tmp_path / "exact.jsonl"))


def edited(file: Path, before: str, after: str) -> Path:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    return file


def ops(file: Path) -> int:
    return read(file).cases[ID].ops or 0


def test_a_first_baseline_is_written(answer, inside, made, tmp_path):
    file = tmp_path / "new" / "exact.jsonl"
    found = answer("check", "--baseline", file, "--update", *MINE)
    assert (found.code, found.out) == (0, f"{file}: written, 4 cases\n"), found.err
    assert file.read_bytes().splitlines()[1:] == made.read_bytes().splitlines()[1:]


def test_an_unchanged_version_passes(answer, made, tmp_path):
    """Counted by a real worker."""
    file = Path(shutil.copy(made, tmp_path / "exact.jsonl"))
    found = answer("check", "--baseline", file, "--strict")
    assert found.code == 0, found.out
    assert " ".join(found.out.split()).endswith(f"against {file}: no regression, 4 unchanged")


def test_an_update_that_changes_nothing_leaves_the_file(answer, file):
    before = file.stat().st_mtime_ns
    found = answer("check", "--baseline", file, "--update")
    assert found.code == 0
    assert f"{file}: unchanged, 4 cases" in " ".join(found.out.split())
    assert file.stat().st_mtime_ns == before


def test_a_regression_is_reported_written_and_ends_with_1(answer, file, tmp_path, monkeypatch):
    known = ops(file)
    edited(file, f'"ops":{known},', f'"ops":{known - 1},')
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    found = answer("check", "--baseline", file, "--json", "--junit", tmp_path / "reports" / "junit.xml")
    assert found.code == 1
    assert found.out.count("\n") == 1
    check = msgspec.json.decode(found.out, type=Check)
    text = f"cached sampling of wavenet:tiny launches {known} operations at N = 4, {known - 1} before"
    (finding,) = check.of("regression")
    assert (finding.text, finding.case, finding.metric) == (text, ID, "ops")
    assert (finding.before, finding.after) == (known - 1, known)
    assert len(check.of("same")) == 3
    assert (check.before, check.environment["cpu"] is not None) == (str(file), True)
    assert check.seconds > 0
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n")
    assert text in summary
    suite = ET.parse(tmp_path / "reports" / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")


def test_an_improvement_ends_with_0_and_says_how_to_keep_it(answer, file):
    known = ops(file)
    edited(file, f'"ops":{known},', f'"ops":{known + 1},')
    found = answer("check", "--baseline", file, "--strict")
    assert found.code == 0
    text = " ".join(found.out.split())
    assert f"cached sampling of wavenet:tiny launches {known} operations at N = 4, {known + 1} before" in text
    assert f"to keep the improvement as the new baseline: arbench check --baseline {file} --update" in text
    assert text.endswith("no regression, 1 improvement, 3 unchanged")
    assert answer("check", "--baseline", file, "--update").code == 0
    assert ops(file) == known


def test_what_is_undecided_ends_with_4_where_it_is_strict(answer, file):
    known = ops(file)
    edited(file, f'"ops":{known},', f'"ops":{known - 1},')
    edited(file, '"torch":"2.', '"torch":"1.')
    found = answer("check", "--baseline", file)
    assert (found.code, "torch 1." in found.out) == (0, True)
    assert answer("check", "--baseline", file, "--strict").code == 4


def test_a_summary_that_cannot_be_written_is_a_warning(answer, file, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere/summary.md")
    found = answer("check", "--baseline", file)
    assert found.code == 0
    said = "cannot append to GITHUB_STEP_SUMMARY /nowhere/summary.md: No such file or directory"
    assert found.err.splitlines()[-1] == f"arbench: warning: {said}"


@pytest.mark.parametrize(("off", "code", "how"), [(0, 2, ""), (1, 1, "warning: ")])
def test_junit_that_the_disk_refuses_is_no_regression_and_hides_none(answer, file, off, code, how):
    edited(file, f'"ops":{ops(file)},', f'"ops":{ops(file) - off},')
    found = answer("check", "--baseline", file, "--junit", "/dev/full")
    assert found.code == code
    said = "--junit /dev/full: cannot be written (No space left on device); choose another file"
    assert found.err.splitlines()[-1] == f"arbench: {how}{said}"


def test_options_narrow_a_check_and_what_is_new_or_gone_is_reported(answer, file):
    found = answer("check", "--baseline", file, "--method", "cached", "--n", "8,12")
    assert found.code == 0, found.out
    assert "+ cached sampling of wavenet:tiny is new: N = 12" in found.out
    assert " ".join(found.out.split()).endswith("no regression, 1 added, 1 unchanged")
    rows = file.read_text().replace("wavenet", "wavenot").splitlines()[1:]
    edited(file, '"models":["wavenet:tiny"]', '"models":["wavenet:tiny","wavenot:tiny"]')
    edited(file, '"cases":4', '"cases":8')
    file.write_text(file.read_text() + "\n".join(rows) + "\n")
    found = answer("check", "--baseline", file)
    assert found.code == 0, found.err
    assert "- cached sampling of wavenot:tiny is only in the baseline: N = 4, 8" in found.out
    assert "unknown model 'wavenot'; did you mean 'wavenet'?" in found.out
    assert " ".join(found.out.split()).endswith("no regression, 2 removed, 4 unchanged")


TOO_OLD = '{"kind":"run","schema":0'
NOT_ARBENCH = "neither a results file nor a JSON file of pytest-benchmark"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p.unlink(), "{0}: No such file or directory; write it with --update"),
    "empty": (lambda p: p.write_text(""), "{0}: empty; a results file begins with a 'run' line"),
    "cut short": (
        lambda p: p.write_text("".join(p.read_text().splitlines(keepends=True)[:3])),
        "{0}: truncated: it contains 2 of the 4 cases of its plan; restore it from version control",
    ),
    "torn": (
        lambda p: p.write_text(p.read_text()[:-20]),
        "{0}: truncated: it contains 3 of the 4 cases of its plan; restore it from version control",
    ),
    "another schema": (
        lambda p: edited(p, '{"kind":"run","schema":1', TOO_OLD),
        "{0}:1: schema 0 is unknown; this arbench reads schema 1",
    ),
    "no JSON": (
        lambda p: p.write_text("hello\n"),
        "{0}: neither a results file nor a complete JSON file of pytest-benchmark (Expecting value: line 1 column 1 "
        "(char 0))",
    ),
    "other JSON": (lambda p: p.write_text('{"a": 1}'), "{0}: " + NOT_ARBENCH),
    "a folder": (
        lambda p: (p.unlink(), p.mkdir()),
        "{0}/results.jsonl: No such file or directory; " + WRITES_IT,
    ),
    "another's case": (
        lambda p: edited(p, '"kind":"case"', '"kind":"cake"'),
        "{0}:2: Invalid value 'cake' - at `$.kind`; restore it from version control",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_baseline_is_one_line_and_2(refusal, file, what):
    spoil, line = BAD[what]
    spoil(file)
    before = file.read_bytes() if file.is_file() else None
    assert refusal("check", "--baseline", file) == line.format(file)
    if what != "missing":
        said = refusal("check", "--baseline", file, "--update")
        folder = f"{file}: a folder; --update needs the name of a file"
        problem = line.format(file).removesuffix("; restore it from version control")
        replaced = f"{problem}; remove it and write it again with --update"
        assert said == (folder if what == "a folder" else replaced)
        assert (file.read_bytes() if file.is_file() else None) == before


def test_a_baseline_of_kernels_is_refused(refusal, file):
    edited(file, '"models":["wavenet:tiny"]', '"kernels":["softmax"]')
    assert refusal("check", "--baseline", file) == f"{file}: contains kernels; name a baseline of models"


def test_a_run_with_times_is_read_and_never_written_over(refusal, answer, inside, finished, tmp_path):
    folder = Path(shutil.copytree(finished[0], tmp_path / "run"))
    found = answer("check", "--baseline", folder)
    assert (found.code, "4 unchanged" in found.out) == (0, True), found.out
    file = folder / "results.jsonl"
    said = refusal("check", "--baseline", file, "--update")
    assert said == f"{file}: contains times, which --update would delete; name another file"


@pytest.mark.parametrize(
    ("words", "such"),
    [
        (["--model", "wavenet:tiny_logistic"], "wavenet:tiny/sample/cached/eager/cpu/float32/b1/n4"),
        (["--dtype", "float64"], "wavenet:tiny/sample/cached/eager/cpu/float32/b1/n4"),
        (["--n", "5"], "wavenet:tiny/sample/cached/eager/cpu/float32/b1/n4"),
    ],
)
def test_no_case_in_common_is_one_line_and_3(answer, file, words, such):
    found = answer("check", "--baseline", file, *words)
    said = f"arbench: {file}: the options select none of its cases: one of them is {such}\n"
    assert (found.code, found.out, found.err) == (3, "", said)


def test_models_that_are_all_gone_are_one_line_and_3(answer, file):
    file.write_text(file.read_text().replace("wavenet", "wavenot"))
    found = answer("check", "--baseline", file)
    said = f"{file}: the options select none of its cases: unknown model 'wavenot'; did you mean 'wavenet'?"
    assert (found.code, found.out, found.err) == (3, "", f"arbench: {said}\n")


def test_a_baseline_without_counters_is_one_line_and_3(answer, file):
    rows = read(file)
    file.unlink()
    with Writer(file) as writer:
        writer.write(rows.run)
        for row in rows.cases.values():
            counts = dict.fromkeys(("depth", "nfe", "flops", "ops", "bytes", "peak_bytes"))
            writer.write(msgspec.structs.replace(row, **counts))
    found = answer("check", "--baseline", file)
    said = f"arbench: {file}: contains no counters of models to compare with; name another file\n"
    assert (found.code, found.out, found.err) == (3, "", said)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--peak-tolerance", "-1"], "--peak-tolerance must be at least 0 and below 1, got -1"),
        (["--peak-tolerance", "nan"], "--peak-tolerance must be at least 0 and below 1, got nan"),
        (
            ["--junit", "/proc/a/b"],
            "--junit /proc/a/b: cannot be written (No such file or directory); choose another file",
        ),
        (["--method", "cache"], "unknown method 'cache'; did you mean 'cached'?"),
        (["--model", "wavnet"], "unknown model 'wavnet'; did you mean 'wavenet'?"),
        (["--model", "nowhere.py:Mine"], "model 'nowhere.py:Mine': no file nowhere.py"),
    ],
)
def test_wrong_use_is_one_line_and_2(refusal, file, words, line):
    assert refusal("check", "--baseline", file, *words) == line


def test_a_baseline_whose_options_are_no_longer_valid_is_refused(refusal, file):
    edited(file, '"methods":["parallel","cached"]', '"methods":["parallel","cashed"]')
    said = f"{file}: its options are no longer valid: unknown method 'cashed'; did you mean 'cached'?"
    assert refusal("check", "--baseline", file) == said


def test_a_time_check_that_fails_beside_a_counter_check_is_part_of_the_verdict(answer, file, monkeypatch):
    def fails(*_):
        raise GateError("new cannot be loaded: broken")

    monkeypatch.setattr(Gate, "run", fails)
    found = answer("check", "--baseline", file, "--against", Path(__file__).parents[2], "--json")
    check = msgspec.json.decode(found.out, type=Check)
    assert found.code == 3
    assert [(one.gate, one.text) for one in check.of("unmeasured")] == [("time", "new cannot be loaded: broken")]
    assert len(check.of("same")) == 4


ASLEEP = (
    "import time\n"
    "from arbench.models.wavenet import WaveNet\n"
    "class Mine(WaveNet):\n"
    "    def extend(self, *args):\n"
    "        open(__file__ + '.asleep', 'w').close()\n"
    "        time.sleep(1000)\n"
)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300.0
    while not condition():
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.02)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_check_leaves_nothing_behind(start, tmp_path, kill):
    """Two models sleep in two workers, which must exit with the process that started them.

    Only that process is killed: the workers have to notice, in the middle of a long step.
    """
    words = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(ASLEEP)
        words += ["--model", f"{tmp_path}/{name}.py:Mine:tiny"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = f"import os, tempfile; tempfile.tempdir = os.environ['TMPDIR'] = {str(scratch)!r}; "
    file = tmp_path / "kept" / "exact.jsonl"
    with start("check", "--baseline", file, "--update", "--n", 8, *words, before=before) as process:
        command = psutil.Process(process.pid)
        until(lambda: len(list(tmp_path.glob("*.asleep"))) == min(2, len(os.sched_getaffinity(0))))
        workers = command.children(recursive=True)
        process.send_signal(kill)
        _, err = process.communicate(timeout=60)
    until(lambda: not any(map(alive, workers)))
    if kill == signal.SIGINT:
        assert (process.returncode, err.splitlines()[-1]) == (130, "arbench: interrupted")
        assert "Traceback" not in err
    assert not file.parent.exists()
    assert list(scratch.iterdir()) == []


def stored_by_pytest_benchmark(file: Path, rows: Iterable[Case], **stated: object) -> None:
    """Write these cases as ``pytest benchmarks`` does, with the fields that are read."""
    fields = ("model", "preset", "op", "method", "backend", "device", "dtype", "batch", "n", "element")
    more = ("weights", "exactness", "depth", "nfe", "flops", "ops", "bytes", "peak_bytes")
    benchmarks = [
        {
            "fullname": row.id,
            "stats": {"median": 1e-3, "rounds": 5},
            "extra_info": {"spec": f"{row.model}:{row.preset}"}
            | {name: getattr(row, name) for name in (*fields, *more)},
        }
        for row in rows
    ]
    machine = {"arbench": stated}
    file.write_bytes(msgspec.json.encode({"benchmarks": benchmarks, "machine_info": machine}))


def test_what_pytest_benchmark_stored_serves_where_it_holds_counters(answer, file, tmp_path):
    results = read(file)
    rows = list(results.cases.values())
    stored_by_pytest_benchmark(tmp_path / "0001.json", rows[:3], **results.run.environment)
    found = answer("check", "--baseline", tmp_path / "0001.json", "--strict")
    assert found.code == 0, found.out + found.err
    assert " ".join(found.out.split()).endswith("no regression, 3 unchanged")
    counts = dict.fromkeys(("depth", "nfe", "flops", "ops", "bytes", "peak_bytes"))
    bare = [msgspec.structs.replace(row, **counts) for row in rows]
    stored_by_pytest_benchmark(tmp_path / "0002.json", bare)
    found = answer("check", "--baseline", tmp_path / "0002.json")
    said = f"{tmp_path}/0002.json: contains no counters of models to compare with; name another file"
    assert (found.code, found.out, found.err) == (3, "", f"arbench: {said}\n")

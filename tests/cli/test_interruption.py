"""Runs that are killed, interrupted or out of disk space keep their measurements, and --resume continues them."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from arbench.results import read

PATIENCE_S = 300.0


def triples(folder: Path) -> Counter:
    return Counter((line.case, line.worker, line.round) for line in read(folder).samples)


def lines(folder: Path) -> list[bytes]:
    """Return the complete lines that are on disk so far."""
    file = folder / "results.jsonl"
    return file.read_bytes().splitlines(keepends=True) if file.exists() else []


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.01)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_after(process: subprocess.Popen, folder: Path, many: int, delay_s: float = 0.0) -> None:
    """Kill a run soon after it has written this many lines. Only the supervisor is killed: its workers must notice."""
    until(lambda: process.poll() is not None or len(lines(folder)) >= many)
    time.sleep(delay_s)
    assert process.poll() is None, "the run ended before it was killed"
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    until(lambda: not any(map(alive, workers)))


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, resource.RLIM_INFINITY)); "


def test_killed_and_out_of_disk_a_run_comes_to_the_same_end(start, finish, quickly, small, tmp_path):
    """Killed among its samples, then resumed on a full disk, then resumed with real workers.

    ``test_runner`` kills a writer after every line.
    """
    words = [*small, "--rounds", "75", "--workers", "1"]  # 300 samples, more than the full disk has room for
    with start("run", *words, "--out", tmp_path, before=quickly) as process:
        kill_after(process, tmp_path, 22)
    killed = triples(tmp_path)
    assert 0 < len(killed) < 300
    room = sum(map(len, lines(tmp_path))) + 10 * max(map(len, lines(tmp_path)))
    found = finish("run", "--resume", "--out", tmp_path, before=quickly + LIMITED.format(room))
    assert (found.code, found.out) == (70, "")
    assert found.err.splitlines()[-1] == (
        f"arbench: cannot write {tmp_path}/results.jsonl: File too large; the earlier lines are intact"
    )
    assert "Traceback" not in found.err
    filled = triples(tmp_path)
    assert killed < filled
    assert len(filled) < 300
    found = finish("run", "--resume", "--out", tmp_path, before=quickly)
    assert found.code == 0, found.err
    cases = {case for case, _, _ in killed} | read(tmp_path).cases.keys()
    assert triples(tmp_path) == Counter((case, 0, n) for case in cases for n in range(75))
    assert len(cases) == 4
    assert {case.stopped_by for case in read(tmp_path).cases.values()} == {"rounds"}


@pytest.mark.slow
def test_killed_twenty_times_a_run_comes_to_the_same_end(start, finish, small, tmp_path):
    words = [*small, "--rounds", "150"]  # 1,200 samples, so that the kills are spread over the run
    assert finish("run", *words, "--out", tmp_path / "unkilled").code == 0
    rng, folder = random.Random(20), tmp_path / "killed"
    for _ in range(20):
        more, resume = rng.randrange(20), ["--resume"] if lines(folder) else words
        with start("run", *resume, "--out", folder) as process:
            kill_after(process, folder, len(lines(folder)) + more, rng.uniform(0, 0.1))
    measured = [b'"kind":"samples"' in line for line in lines(tmp_path / "killed")]
    assert 0 < sum(measured) < 1200
    comes_to_the_same_end(finish, tmp_path / "killed", words, tmp_path / "unkilled")


def comes_to_the_same_end(run, folder: Path, words: list[str], unkilled: Path) -> None:
    found = run("run", *(["--resume"] if lines(folder) else words), "--out", folder)
    assert found.code == 0, found.err
    assert triples(folder) == triples(unkilled)
    assert set(triples(folder).values()) == {1}
    results = read(folder)
    assert results.resumes
    assert results.cases.keys() == read(unkilled).cases.keys()
    assert {case.status for case in results.cases.values()} == {"ok"}
    assert {case.stopped_by for case in results.cases.values()} == {"rounds"}


def test_ctrl_c_leaves_rows_and_a_report_and_a_second_run_is_kept_out(answer, start, quickly, refusal, small, tmp_path):
    words = [word if word != "2" else "300" for word in small]  # endless rounds and workers
    with start("run", *words, "--out", tmp_path, before=quickly) as process:
        until(lambda: process.poll() is not None or len(lines(tmp_path)) > 22)
        said = refusal("run", *small, "--out", tmp_path)
        assert said == f"{tmp_path}/results.jsonl is being written by another run; choose another --out"
        said = refusal("run", "--resume", "--out", tmp_path)
        assert said == f"{tmp_path}/results.jsonl is being written by another run; choose another --out"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"arbench: interrupted; continue with: arbench run --resume --out {tmp_path}"
    assert "Traceback" not in err
    assert "wavenet:tiny" in out
    assert f"\nresume   arbench run --resume --out {tmp_path}\n" in answer("report", tmp_path).out
    results = read(tmp_path)
    assert results.samples
    assert {case.stopped_by for case in results.cases.values()} == {"interrupted"}
    page = (tmp_path / "report.html").read_text()
    assert "wavenet:tiny" in page
    assert page.rstrip().endswith("</html>")


def test_ctrl_c_before_anything_was_measured(start, small, tmp_path):
    with start("run", *small, "--out", tmp_path) as process:
        assert process.stderr.readline() == "measuring the machine's own limits\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (130, "", "\narbench: interrupted\n")


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Limit the size of files of this process, in bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_under_the_report(answer, copied):
    before = (copied / "results.jsonl").read_bytes()
    files = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    with full_disk(5000):
        found = answer("report", copied)
    assert found.code == 70
    assert f"results  {copied}/results.jsonl\n" in found.out
    assert "report   " not in found.out
    assert [path.name for path in copied.iterdir() if path.suffix == ".part"] == []
    assert {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()} == files
    assert found.err.splitlines()[-1] == (
        f"arbench: cannot write the report into {copied}: File too large; "
        f"the results are intact: render them with arbench report {copied}/results.jsonl --out DIR"
    )
    assert (copied / "results.jsonl").read_bytes() == before

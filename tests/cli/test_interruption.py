"""A run that is killed, interrupted or out of disk: what was measured stays, and --resume goes on with it."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from arbench.results import read

PATIENCE_S = 120.0


def triples(folder: Path) -> Counter:
    return Counter((line.case, line.worker, line.round) for line in read(folder).samples)


def lines(folder: Path) -> list[bytes]:
    """The whole lines that are on disk by now."""
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


def killed(start, folder: Path, words: list[str], more: int, delay_s: float) -> bool:
    """Starts or resumes a run and kills it once it wrote so many lines, a little later.

    Returns whether it still ran. Only the supervisor is killed: its workers have to notice.
    """
    before = len(lines(folder))
    words = ["--resume"] if before else words
    with start("run", *words, "--out", folder) as process:
        until(lambda: process.poll() is not None or len(lines(folder)) >= before + more)
        time.sleep(delay_s)
        ran = process.poll() is None
        workers = psutil.Process(process.pid).children(recursive=True) if ran else []
        process.kill()
        process.communicate()
    until(lambda: not any(map(alive, workers)))
    return ran


def moments(seed: int, count: int, most: int) -> list[tuple[int, float]]:
    rng = random.Random(seed)
    return [(rng.randrange(most), rng.uniform(0, 0.5)) for _ in range(count)]


@pytest.mark.parametrize(
    "moments",
    [moments(3, 3, 12), pytest.param(moments(20, 20, 4), marks=pytest.mark.slow, id="twenty")],
)
def test_killed_again_and_again_a_run_comes_to_the_same_end(
    start, finish, finished, small, tmp_path, moments
):
    ran = [killed(start, tmp_path, small, more, delay_s) for more, delay_s in moments]
    assert all(ran[:3])
    found = finish("run", *(["--resume"] if lines(tmp_path) else small), "--out", tmp_path)
    assert found.code == 0, found.err
    assert triples(tmp_path) == triples(finished[0])
    assert set(triples(tmp_path).values()) == {1}
    assert len(read(tmp_path).resumes) >= sum(ran) - 3
    assert read(tmp_path).cases.keys() == read(finished[0]).cases.keys()
    assert {case.status for case in read(tmp_path).cases.values()} == {"ok"}


def test_ctrl_c_leaves_rows_and_a_report_and_a_second_run_is_kept_out(start, refusal, small, tmp_path):
    words = [word if word != "2" else "300" for word in small]  # rounds and workers without end
    with start("run", *words, "--out", tmp_path) as process:
        until(lambda: process.poll() is not None or len(lines(tmp_path)) > 22)
        said = refusal("run", *small, "--out", tmp_path)
        assert said == f"{tmp_path}/results.jsonl is being written by another run; choose another --out"
        said = refusal("run", "--resume", "--out", tmp_path)
        assert said == f"{tmp_path}/results.jsonl is being written by another run; choose another --out"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"arbench: interrupted; go on with: arbench run --resume --out {tmp_path}"
    assert "Traceback" not in err
    assert "wavenet:tiny" in out
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


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, resource.RLIM_INFINITY)); "


def test_a_full_disk_ends_the_run_and_it_can_be_resumed(finish, finished, small, tmp_path):
    folder, _ = finished
    room = sum(map(len, lines(folder)[:20]))
    found = finish("run", *small, "--out", tmp_path, before=LIMITED.format(room))
    assert found.code == 1
    assert found.out == ""
    assert found.err.splitlines()[-1] == (
        f"arbench: cannot write {tmp_path}/results.jsonl: File too large; the earlier lines are intact"
    )
    assert "Traceback" not in found.err
    measured = triples(tmp_path)
    assert 0 < len(measured) < 16
    found = finish("run", "--resume", "--out", tmp_path)
    assert found.code == 0, found.err
    assert triples(tmp_path) == triples(folder)
    assert measured <= triples(tmp_path)


def test_a_full_disk_under_the_report(finish, copied):
    before = (copied / "results.jsonl").read_bytes()
    found = finish("report", copied, before=LIMITED.format(5000))
    assert (found.code, found.out) == (1, "")
    assert found.err.splitlines()[-1] == (
        f"arbench: cannot write the report into {copied}: File too large; the results are intact"
    )
    assert "Traceback" not in found.err
    assert (copied / "results.jsonl").read_bytes() == before

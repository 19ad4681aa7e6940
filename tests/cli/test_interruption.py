"""Runs that are killed, interrupted or out of disk space keep their measurements, and --resume continues them."""

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


def killed(start, folder: Path, words: list[str], more: int, delay_s: float) -> bool:
    """Start or resume a run, kill it soon after it has written ``more`` lines, and return whether it still ran.

    Only the supervisor is killed: its workers must notice.
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


def test_killed_thrice_a_run_comes_to_the_same_end(start, finish, finished, small, tmp_path):
    rng = random.Random(3)
    moments = [(rng.randrange(12), rng.uniform(0, 0.5)) for _ in range(3)]
    ran = [killed(start, tmp_path, small, more, delay_s) for more, delay_s in moments]
    assert all(ran)
    comes_to_the_same_end(finish, tmp_path, small, finished[0])


@pytest.mark.slow
def test_killed_twenty_times_a_run_comes_to_the_same_end(start, finish, small, tmp_path):
    words = [*small, "--rounds", "150"]  # 1,200 samples, so that the kills are spread over the run
    assert finish("run", *words, "--out", tmp_path / "unkilled").code == 0
    rng = random.Random(20)
    moments = [(rng.randrange(20), rng.uniform(0, 0.1)) for _ in range(20)]
    ran = [killed(start, tmp_path / "killed", words, more, delay_s) for more, delay_s in moments]
    assert all(ran)
    measured = [b'"kind":"samples"' in line for line in lines(tmp_path / "killed")]
    assert 0 < sum(measured) < 1200
    comes_to_the_same_end(finish, tmp_path / "killed", words, tmp_path / "unkilled")


def comes_to_the_same_end(finish, folder: Path, words: list[str], unkilled: Path) -> None:
    found = finish("run", *(["--resume"] if lines(folder) else words), "--out", folder)
    assert found.code == 0, found.err
    assert triples(folder) == triples(unkilled)
    assert set(triples(folder).values()) == {1}
    results = read(folder)
    assert results.resumes
    assert results.cases.keys() == read(unkilled).cases.keys()
    assert {case.status for case in results.cases.values()} == {"ok"}
    assert {case.stopped_by for case in results.cases.values()} == {"rounds"}


def test_a_worker_in_the_midst_of_a_long_step_exits_with_its_supervisor(start, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import time\n"
        "from arbench.models.wavenet import WaveNet\n"
        "class Mine(WaveNet):\n"
        "    def extend(self, *args):\n"
        "        print('asleep')\n"
        "        time.sleep(1000)\n"
    )
    words = ["run", "--model", f"{tmp_path}/mine.py:Mine:tiny", "--n", 8, "--out", tmp_path / "out"]
    with start(*words) as process:
        supervisor = psutil.Process(process.pid)
        until(lambda: len(lines(tmp_path / "out")) == 2 and any(map(at_rest, supervisor.children())))
        workers = supervisor.children()
        process.kill()
        process.communicate()
    until(lambda: not any(map(alive, workers)))


def at_rest(process: psutil.Process) -> bool:
    """Return whether a worker only waits for its parent to exit."""
    try:
        return process.num_threads() > 1 and process.cpu_percent(interval=0.5) == 0.0
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_leaves_rows_and_a_report_and_a_second_run_is_kept_out(start, refusal, small, tmp_path):
    words = [word if word != "2" else "300" for word in small]  # endless rounds and workers
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

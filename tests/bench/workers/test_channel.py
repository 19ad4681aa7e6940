"""The channel of a worker, with bare processes: what other code writes, and what a worker leaves behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from arbench.bench.job import Message
from arbench.bench.workers.failure import BrokenMessageError
from arbench.bench.workers.process import Worker

START = """
import os, socket, subprocess, sys, time
from pathlib import Path
from arbench.bench.job import Message
from arbench.bench.workers.channel import attached

fd = int(sys.argv[-1])
channel = attached()
"""


@pytest.fixture
def started() -> Iterator[Callable[[str], Worker]]:
    """Return a function that starts a worker with this script; all are killed in the end."""
    workers: list[Worker] = []

    def start(text: str) -> Worker:
        workers.append(Worker([sys.executable, "-c", START + text]))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def said(worker: Worker) -> Message | None:
    message: Message | None = worker.receive(Message, 60.0)
    return message


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until_dead(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while any(map(alive, pids)):
        assert time.monotonic() < end, "a process is left behind"
        time.sleep(0.01)


def test_what_is_printed_and_read_does_not_reach_the_channel(started: Callable[[str], Worker]) -> None:
    worker = started(
        """
print('{"done":true}', flush=True)
os.write(1, b'\\xff{"done":true}')
os.write(2, b'{"done":true}\\n')
channel.send(Message(error=sys.stdin.read() or "nothing to read"))
print("last words")
sys.exit(3)
"""
    )
    assert said(worker) == Message(error="nothing to read")
    assert said(worker) is None
    assert worker.exit_reason(worker.process.wait()) == "the worker exited with code 3: last words"


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ('b"garbage\\n"', "other code wrote to the channel of the worker"),
        ("b'{\"done\":true}\\n'", "other code wrote to the channel of the worker"),
        ("b'0' * 32 + b' {\"done\":true}\\n'", "other code wrote to the channel of the worker"),
        (
            "channel._word + b' {\"done\":1}\\n'",
            "the worker sent a message that is not valid: Expected `bool`, got `int`",
        ),
        ('channel._word + b" \\xff\\n"', "the worker sent a message that is not valid: "),
    ],
)
def test_what_other_code_writes_to_the_channel_is_no_message(
    written: str, what: str, started: Callable[[str], Worker]
) -> None:
    worker = started(f"os.write(fd, {written})\nchannel.send(Message(ready=True))\nchannel.stay()")
    with pytest.raises(BrokenMessageError) as broken:
        said(worker)
    assert str(broken.value).startswith(what)
    assert said(worker) == Message(ready=True)


def test_an_endless_message_is_cut(started: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arbench.bench.workers.process.MOST_BYTES", 1000)
    worker = started("while True: os.write(fd, bytes(5000))")
    with pytest.raises(BrokenMessageError):
        said(worker)


FORKS = """
pid = os.fork()
if pid == 0:
    try:
        channel.send(Message(error="I am the child"))
    except OSError as error:
        Path(sys.argv[-1]).write_text(f"{type(error).__name__}")
    time.sleep(1000)
channel.send(Message(ready=True))
os._exit(3)
"""


def test_a_forked_process_neither_sends_nor_keeps_the_channel_open(
    started: Callable[[str], Worker], tmp_path: Path
) -> None:
    file = tmp_path / "child"
    worker = started(f"sys.argv.append({str(file)!r})" + FORKS)
    assert said(worker) == Message(ready=True)
    worker.process.wait()
    started_at = time.monotonic()
    assert said(worker) is None
    assert time.monotonic() - started_at < 30  # far less than the child sleeps
    while not file.exists():
        assert time.monotonic() - started_at < 60
        time.sleep(0.01)
    assert file.read_text() == "OSError"


LEAVES = """
def daemon():
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    os.waitpid(pid, 0)

sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
channel.receive()
daemon()
subprocess.Popen(sleep)
subprocess.Popen(sleep, start_new_session=True)
if cleared:
    subprocess.Popen(sleep, start_new_session=True, env={})
channel.send(Message(ready=True))
"""


def family(mark: str) -> list[int]:
    """Return the ids of all processes that a worker has marked."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ARBENCH_WORKER") == mark:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("ending", ["stays", "exits", "is killed"])
def test_nothing_that_a_worker_started_outlives_it(ending: str, started: Callable[[str], Worker]) -> None:
    """A daemon with a session of its own too; one with an empty environment, as long as the worker is there."""
    cleared = ending == "stays"
    end = "os._exit(0)" if ending == "exits" else "channel.stay()"
    worker = started(f"cleared = {cleared}\n{LEAVES}{end}")
    worker.send(msgspec.convert({}, Message))
    assert said(worker) == Message(ready=True)
    if ending == "is killed":
        os.kill(worker.process.pid, signal.SIGKILL)
    if not cleared:
        worker.process.wait()
    pids = family(worker._mark)
    pids += [child.pid for child in psutil.Process(worker.process.pid).children(recursive=True)] if cleared else []
    assert len(set(pids)) == (5 if cleared else 3)
    worker.kill()
    until_dead(pids)


def test_a_worker_whose_parent_died_takes_all_that_it_started_along(started: Callable[[str], Worker]) -> None:
    worker = started(f"cleared = False\n{LEAVES}while True: pass")
    worker.send(msgspec.convert({}, Message))
    assert said(worker) == Message(ready=True)
    pids = family(worker._mark)
    assert len(pids) == 4
    worker._socket.close()
    worker.process.wait()
    until_dead(pids)

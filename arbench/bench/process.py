"""Worker processes as the supervisor sees them: started, listened to, and gone when they are done with.

A fresh process takes a second or two to import torch. So while one is busy with what is not timed, the next
may be made ready: it has imported what it needs and waits for its job, and waiting costs nothing.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from arbench.bench.job import Job, Message
from arbench.results import Status

STARTUP_S = 60.0
"""What a fresh process may take to import torch and build its model, whatever the timeout of a step."""


@dataclass(frozen=True)
class Ended:
    """A worker that died, or was killed because a step took too long."""

    status: Status
    error: str


class Worker:
    """A process that waits for its job, and what it says line by line; None once it says no more.

    Args:
        command: what to start; a worker of a run by default.
        environment: of the process; this one's by default.
    """

    def __init__(self, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "arbench.bench.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.heard: queue.Queue[bytes | None] = queue.Queue()
        self.errors: deque[bytes] = deque(maxlen=50)
        self.speaker = _listen(self.process.stdout, self.heard.put, lambda: self.heard.put(None))
        self.listener = _listen(self.process.stderr, self.errors.append, lambda: None)

    @property
    def waits(self) -> bool:
        """Whether it has imported all it needs, or died; it says so in its first line."""
        return not self.heard.empty()

    def tell(self, message: msgspec.Struct) -> None:
        """Gives it its job, or whatever else it waits for."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once; what it said on stderr tells why
            self.process.stdin.write(msgspec.json.encode(message) + b"\n")
            self.process.stdin.flush()

    def last_words(self, code: int) -> str:
        """Why it ended."""
        self.listener.join(timeout=5)
        return _last_words(code, b"".join(self.errors))

    def kill(self) -> None:
        """Ends it, and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        for stream, thread in ((self.process.stdout, self.speaker), (self.process.stderr, self.listener)):
            thread.join(timeout=2)
            if stream is not None and not thread.is_alive():
                stream.close()  # else something the worker started holds the pipe: closing would wait


_spare: list[Worker] = []
_busy: set[Worker] = set()
"""Those with a job; more than one where several threads converse."""


def prepare(count: int) -> None:
    """Has ``count`` workers ready or on their way to it."""
    while len(_spare) < count:
        _spare.append(Worker())


def settle() -> None:
    """Waits until no worker that was prepared is busy any more, so that nothing disturbs what is timed."""
    deadline = time.monotonic() + STARTUP_S
    while not all(worker.waits for worker in _spare) and time.monotonic() < deadline:
        time.sleep(0.01)


def dismiss() -> None:
    """Ends the workers that were prepared and not needed."""
    while _spare:
        _spare.pop().kill()


def abandon() -> None:
    """Ends the workers with a job, so that whoever listens to one hears that it ended."""
    for worker in list(_busy):
        if worker.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)


def converse(job: Job, timeout: float) -> Iterator[Message | Ended]:
    """Has a fresh worker do a job and yields what it says; it is gone when this ends, however it ends."""
    try:
        worker = _spare.pop(0)
    except IndexError:
        worker = Worker()
    _busy.add(worker)
    try:
        worker.tell(job)
        patience = max(timeout, STARTUP_S)
        while True:
            try:
                raw = worker.heard.get(timeout=patience)
            except queue.Empty:
                yield Ended("timeout", f"no sign of life for {patience:g} s")
                return
            if raw is None:
                break
            message = msgspec.json.decode(raw, type=Message)
            if message.ready:
                continue
            patience = timeout
            if message.done:
                return
            yield message
        try:
            code = worker.process.wait(timeout)
        except subprocess.TimeoutExpired:
            yield Ended("timeout", f"fell silent, and did not end within {timeout:g} s")
            return
        yield Ended("error", worker.last_words(code))
    finally:
        worker.kill()
        _busy.discard(worker)


def _listen(stream: Any, take: Callable[[bytes], Any], end: Callable[[], Any]) -> threading.Thread:
    def loop() -> None:
        for raw in stream:
            take(raw)
        end()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread


def _last_words(code: int, errors: bytes) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"the worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    lines = errors.decode(errors="replace").strip().splitlines()
    return f"the worker ended with exit code {code}" + (f": {lines[-1]}" if lines else "")

"""A worker process as its parent sees it: start it, send it messages, read its replies, kill it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from arbench.bench.case import KERNEL_SPEC
from arbench.bench.job import Job
from arbench.border.printable import to_json
from arbench.results import Status

STARTUP_S = 60.0
"""Seconds that a fresh process may take to import torch and build its model, whatever the timeout of a step."""
INTERPRET = "TRITON_INTERPRET"
"""Variable that makes Triton run its programs in its interpreter."""


def environment_for(job: Job) -> dict[str, str] | None:
    """Return the environment variables of a process that does a job; None for those of this one.

    A library reads its variables when it is imported, and what a worker imports before its job may import any. So
    they are set where the process begins: on a CPU, Triton's kernels are verified in Triton's interpreter, and nothing
    is timed in it.
    """
    if job.cases[0].spec != KERNEL_SPEC:
        return None
    plain = {name: value for name, value in os.environ.items() if name != INTERPRET}
    return plain | {INTERPRET: "1"} if job.stage == "prove" and job.cases[0].device == "cpu" else plain


@dataclass(frozen=True)
class WorkerFailure:
    """The reason why a worker stopped before its job was done."""

    status: Status
    error: str


class Worker:
    """A process that reads messages from its standard input and replies on its standard output.

    Args:
        command: the program and its arguments; by default a worker of a run.
        environment: environment variables of the process; by default those of this one.

    Attributes:
        environment: the given one.
        process: the process.
        replies: its replies, one line each; None after the last.
    """

    def __init__(self, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.environment = environment
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "arbench.bench.workers.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.replies: queue.Queue[bytes | None] = queue.Queue()
        self._errors: deque[bytes] = deque(maxlen=50)
        self._stdout_reader = _read(self.process.stdout, self.replies.put, lambda: self.replies.put(None))
        self._stderr_reader = _read(self.process.stderr, self._errors.append, lambda: None)

    @property
    def ready(self) -> bool:
        """True once its first reply is here: it has imported what it needs, or it died."""
        return not self.replies.empty()

    def send(self, message: msgspec.Struct) -> None:
        """Send one message."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it already died; ``exit_reason`` says why
            self.process.stdin.write(to_json(message) + b"\n")
            self.process.stdin.flush()

    def exit_reason(self, code: int) -> str:
        """Return on one line why the process exited with this code."""
        self._stderr_reader.join(timeout=5)
        return exit_reason(code, b"".join(self._errors))

    def signal_kill(self) -> None:
        """Send SIGKILL to the process and its children, without waiting."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the process and its children, wait for it, and close its pipes."""
        self.signal_kill()
        self.process.wait()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        for stream, thread in ((self.process.stdout, self._stdout_reader), (self.process.stderr, self._stderr_reader)):
            thread.join(timeout=2)
            if stream is not None and not thread.is_alive():
                stream.close()  # a live thread means that a descendant keeps the pipe open: closing would block


def exit_reason(code: int, errors: bytes) -> str:
    """Return on one line why a worker exited.

    Args:
        code: its exit code, negative for a signal.
        errors: the end of its standard error.
    """
    if code < 0:
        name = signal.Signals(-code).name
        return f"the worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    lines = errors.decode(errors="replace").strip().splitlines()
    return f"the worker exited with code {code}" + (f": {lines[-1]}" if lines else "")


def _read(stream: Any, take: Callable[[bytes], Any], finish: Callable[[], Any]) -> threading.Thread:
    def loop() -> None:
        for raw in stream:
            take(raw)
        finish()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread

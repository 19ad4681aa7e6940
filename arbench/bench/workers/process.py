"""A worker process as its parent sees it: start it, send it messages, receive its own, kill it."""

from __future__ import annotations

import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from platform import libc_ver
from typing import Any

import msgspec

from arbench.bench.case import KERNEL_SPEC
from arbench.bench.job import Job
from arbench.bench.workers.failure import BrokenMessageError, StartError, exit_reason, stuck_at
from arbench.bench.workers.starved import starved_s, waits
from arbench.bench.workers.strays import MARK, descendants, end, end_marked
from arbench.border.printable import to_json

STARTUP_S = 60.0
"""Seconds that a fresh process may take to import torch and build its model, whatever the timeout of a step."""
INTERPRET = "TRITON_INTERPRET"
"""Variable that makes Triton run its programs in its interpreter."""
KEEPING = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
"""Variables of the GNU C library: bytes from which on freed memory is given back to the system."""
MOST_KEPT = 1 << (32 if re.fullmatch(r"2\.(3[6-9]|[4-9]\d)", libc_ver()[1]) else 25)
"""Their value; libraries before 2.36 ignore a threshold of more than 32 MiB."""
LOOK_S = 0.5
"""Longest wait for a message before looking whether the process is still there."""
MOST_STARVED = 3.0
"""How many times the time to wait for a message is added, at most, for want of a processor."""
MOST_BYTES = 1 << 26
"""Longest message."""
OUTPUT_BYTES = 1 << 16
"""How much of the end of a worker's output is kept."""
CHUNKS = 16
"""Most pieces of output to read before looking for messages again."""


def environment_for(job: Job) -> dict[str, str] | None:
    """Return the environment variables of a process that does a job; None for those of this one.

    A library reads its variables when it is imported, and what a worker imports before its job may import any. So
    they are set where the process begins: on a CPU, Triton's kernels are verified in Triton's interpreter, and nothing
    is timed in it. A process that verifies and times nothing keeps freed memory, since to have it from the system again
    takes a fifth of the time of a wide alphabet.
    """
    if job.stage == "check":
        return dict.fromkeys(KEEPING, str(MOST_KEPT)) | os.environ
    if not job.cases or job.cases[0].spec != KERNEL_SPEC:
        return None
    plain = {name: value for name, value in os.environ.items() if name != INTERPRET}
    return plain | {INTERPRET: "1"} if job.stage == "prove" and job.cases[0].device == "cpu" else plain


class Worker:
    """A process with a channel of its own to this one; see ``arbench.bench.workers.channel`` for its end.

    Args:
        command: the program and its arguments, to which the descriptor of the channel is appended; by default a worker
            of a run.
        environment: environment variables of the process; by default those of this one.

    Raises:
        StartError: the system does not start the process.

    Attributes:
        environment: the given one.
        process: the process; its output, standard error included, is read here.
    """

    def __init__(self, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.environment = environment
        self._mark, self._word = secrets.token_hex(16), secrets.token_hex(16).encode()
        program = command or [sys.executable, "-m", "arbench.bench.workers.worker"]
        with ExitStack() as opened:
            try:
                self._socket, theirs = map(opened.enter_context, socket.socketpair())
                self.process = subprocess.Popen(
                    [*program, str(theirs.fileno())],
                    env={**(os.environ if environment is None else environment), MARK: self._mark},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise StartError(f"the system starts no process: {error.strerror}") from None
            opened.pop_all()
        theirs.close()
        self._socket.settimeout(STARTUP_S)
        assert self.process.stdout is not None
        self._output = self.process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._printed = b""
        self._unfinished = b""
        self._lines: deque[bytes] = deque()
        self._ended = self._used = self._killed = False
        self._watched = select.poll()
        for fd in (self._socket.fileno(), self._output):
            self._watched.register(fd, select.POLLIN)
        self._write(self._word)

    @property
    def ready(self) -> bool:
        """True once its first message is here: it has imported what it needs, or it died."""
        self._look(0)
        return bool(self._lines) or self._ended

    @property
    def alive(self) -> bool:
        """True until the process ends."""
        return self.process.poll() is None

    def send(self, message: msgspec.Struct) -> None:
        """Send one message."""
        self._used = True
        self._write(to_json(message))

    def receive(self, kind: Any, timeout: float) -> Any:
        """Wait for the next message and return it; None if the process ended, or closed the channel.

        Args:
            kind: type of the message.
            timeout: seconds to wait; up to three times as many more, as far as the process waited for a processor.

        Raises:
            TimeoutError: no message came in time.
            BrokenMessageError: what came is no message of this kind.
        """
        deadline, before = time.monotonic() + timeout, None
        while not self._lines and not self._ended:
            left = deadline - time.monotonic()
            if left <= 0 and before is not None:
                left += min(starved_s(before, waits(self.process.pid)), MOST_STARVED * timeout)
            if left <= 0:
                raise TimeoutError
            self._look(min(left, LOOK_S))
            before = waits(self.process.pid) if before is None else before  # most messages come before
        if not self._lines:
            return None
        word, _, raw = self._lines.popleft().partition(b" ")
        try:
            if word != self._word:
                raise BrokenMessageError("other code wrote to the channel of the worker")
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BrokenMessageError(f"the worker sent a message that is not valid: {error}") from None

    def exit_reason(self, code: int) -> str:
        """Return on one line why the process exited with this code."""
        self._look(0)
        return exit_reason(code, self._printed)

    def stuck_at(self) -> str:
        """Return where the process says that it is, as in ``, in extend (my_model.py:12)``; empty if it does not."""
        self._look(0)
        return stuck_at(self._printed)

    def signal_kill(self) -> None:
        """Send SIGKILL to the process and its group, without waiting."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the process and every process that it has started, wait for it, and close the channel.

        Only a worker that was sent a message can have started others.
        """
        if self._killed:
            return
        self._killed = True
        others = descendants(self.process.pid) if self._used else []
        self.signal_kill()
        self.process.wait()
        if self._used:
            end(others)
            end_marked(self._mark)
        self._socket.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _write(self, line: bytes) -> None:
        with suppress(OSError):  # it died, and ``exit_reason`` says why; or it hangs
            self._socket.sendall(line + b"\n")

    def _look(self, wait_s: float) -> None:
        """Take what the process sent and printed; wait this many seconds for it, at most."""
        alive = self.alive  # all that a dead process sent is here; a descendant may keep its channel open
        found = {fd for fd, _ in self._watched.poll(1000 * wait_s if alive else 0)}
        if self._output in found:
            self._read_output()
        if self._socket.fileno() in found:
            self._read_channel()
        elif not alive:
            self._ended = True

    def _read_output(self) -> None:
        for _ in range(CHUNKS):
            try:
                chunk = os.read(self._output, OUTPUT_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._watched.unregister(self._output)
                return
            self._printed = (self._printed + chunk)[-OUTPUT_BYTES:]

    def _read_channel(self) -> None:
        try:
            chunk = self._socket.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # it died before it read all that was sent
            chunk = b""
        if not chunk:
            self._ended = True
            self._watched.unregister(self._socket.fileno())
        *lines, self._unfinished = (self._unfinished + chunk).split(b"\n")
        if len(self._unfinished) > MOST_BYTES:
            lines.append(self._unfinished)
            self._unfinished = b""
        self._lines += lines

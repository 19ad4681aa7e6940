"""Failures of worker processes, in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from arbench.results import Status

OWN = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}
)
"""Signals that a process gets for what it does itself; another one was sent by the system or by a user."""


class StartError(Exception):
    """Failure to start a worker process; the message is one line."""


class NoWorkerError(Exception):
    """Failure of a whole run, because no worker process starts; the message is one line for the user.

    Args:
        why: what happened to the last one, on one line.
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            f"no worker process can start: {why}; free memory, or raise the limits of the shell (ulimit -a)"
        )


class BrokenMessageError(Exception):
    """Receipt of something that is no message, or not one that was asked for; the message is one line."""


@dataclass(frozen=True)
class WorkerFailure:
    """The reason why a worker stopped before its job was done.

    Args:
        status: status of a case that is charged with it.
        error: what happened, on one line.
        code: exit code of the process, negative for a signal; None if it was not the process that ended.
        ready: whether the worker had imported what it needs; before that no case can be at fault.
    """

    status: Status
    error: str
    code: int | None = None
    ready: bool = True

    @property
    def died(self) -> bool:
        """True if the process ended by itself, or was never there."""
        return self.code is not None or not self.ready

    @property
    def by_signal(self) -> bool:
        """True if a signal ended the process."""
        return self.code is not None and self.code < 0

    @property
    def outside(self) -> bool:
        """True if something outside the process ended it, such as a user or a system without memory."""
        return self.code is not None and self.code < 0 and -self.code not in OWN


def exit_reason(code: int, output: bytes) -> str:
    """Return on one line why a worker exited.

    Args:
        code: its exit code, negative for a signal.
        output: the end of its output.
    """
    if code < 0:
        known = {one.value: one.name for one in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        return f"the worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    lines = output.decode(errors="replace").strip().splitlines()
    return f"the worker exited with code {code}" + (f": {lines[-1]}" if lines else "")

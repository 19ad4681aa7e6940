"""Failures of worker processes, in words."""

from __future__ import annotations

import re
import signal
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from arbench.own.raised import shown
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
        killed = f"the worker was killed by {name}"
        return f"{killed} (out of memory?)" if name == "SIGKILL" else killed + stuck_at(output, "Fatal Python error")
    lines = output.decode(errors="replace").strip().splitlines()
    return f"the worker exited with code {code}" + (f": {lines[-1]}" if lines else "")


_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>.+)')
"""A line of a stack that ``faulthandler`` prints."""
_OURS = Path(__file__).resolve().parents[2]
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def stuck_at(output: bytes, title: str = "Timeout (") -> str:
    """Return the innermost line of a user's code in the last stack that a worker printed, in brackets for a sentence.

    Args:
        output: the end of its output.
        title: what stands above the stack.

    Returns:
        ``, in extend (my_model.py:12)``; empty if there is no stack, or none of its lines is the user's.
    """
    _, said, stack = output.decode(errors="replace").rpartition(title)
    for frame in _FRAME.finditer(stack) if said else ():
        file = Path(frame["file"])
        installed = {"site-packages", "dist-packages"} & set(file.parts) or frame["file"].startswith(_LIBRARIES)
        if not installed and not file.is_relative_to(_OURS) and not frame["file"].startswith("<"):
            return f", in {frame['function']} ({shown(frame['file'])}:{frame['line']})"
    return ""

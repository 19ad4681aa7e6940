"""Seconds for which a thread of a process was ready to run and had no processor, as on a busy machine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def waits(pid: int) -> dict[str, float]:
    """Return the seconds for which each thread of a process waited for a processor, by its id.

    Empty where the system does not say: it needs Linux with ``/proc/PID/task/TID/schedstat``.
    """
    found = {}
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError, IndexError, ValueError):  # the thread may have ended
                found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found


def starved_s(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """Return the seconds for which the thread that waited the longest waited between two readings of ``waits``."""
    return max((seconds - before.get(thread, 0.0) for thread, seconds in now.items()), default=0.0)

"""Processes that a worker has started, and that must not outlive it.

Those in its process group end with the group. One that left the group is found as a descendant of the worker while
the worker lives, and afterwards by a variable that it inherited. A process that left the group and cleared its
environment, and whose worker is dead, cannot be told from any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

MARK = "ARBENCH_WORKER"
"""Variable whose value marks a worker and all processes that inherit its environment."""
TURNS = 20
"""Searches for marked processes, at most: each may have started another one meanwhile."""


def descendants(pid: int) -> list[psutil.Process]:
    """Return all living descendants of a process; none if it does not exist."""
    with suppress(psutil.Error):
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        return found
    return []


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill processes; those that are gone, or belong to another user, are left out."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def end_marked(mark: str, besides: int | None = None) -> None:
    """Kill every process that a worker has marked.

    Args:
        mark: the value of its variable ``MARK``; nothing is killed if it is empty.
        besides: id of a process to spare.
    """
    for _ in range(TURNS):
        found = [process for pid in psutil.pids() if pid != besides and (process := _marked(pid, mark)) is not None]
        if not found or not mark:
            return
        end(found)


def _marked(pid: int, mark: str) -> psutil.Process | None:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return process if process.environ().get(MARK) == mark else None
    return None

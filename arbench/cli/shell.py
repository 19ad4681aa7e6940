"""Limits of the shell under which nothing can be measured, found before any work.

Numerical libraries start threads and map hundreds of megabytes when they are imported. Where they may not, they print
many lines and abort. So a process of its own tries that first, if the memory of a process is limited.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading

from arbench.cli.errors import RefusedError
from arbench.own.raised import one_line

MOST_THREADS = 256
MEMORY = {"v": resource.RLIMIT_AS, "d": resource.RLIMIT_DATA}
"""Limits of the memory of a process, by the option of ``ulimit``."""
MEASURING = ("arbench.bench.runner", "arbench.report", "matplotlib.backends.backend_agg")
"""Modules that need most of what a command imports to measure and report."""
SCARCE = ("failed to map segment", "cannot allocate memory", "can't start new thread", "not enough memory")
"""Texts of errors that are probably due to such limits."""
CERTAIN = ((ImportError, "failed to map segment"), (RuntimeError, "can't start new thread"))
"""Kinds of errors, and texts, that nothing else explains."""


def check_shell(*modules: str) -> None:
    """Check that this process may start threads and import what a command needs.

    Args:
        modules: the modules that need most.

    Raises:
        RefusedError: a limit of the shell forbids it.
    """
    _check_threads(min(2 * (os.cpu_count() or 1) + 2, MOST_THREADS))
    limited = {name: soft for name, kind in MEMORY.items() if (soft := resource.getrlimit(kind)[0]) >= 0}
    if limited:
        _check_imports(modules, limited)


def scarce(error: BaseException) -> str | None:
    """Return on one line what a limit of the shell or of the machine's memory made fail; None for any other error."""
    if not for_certain(error) and not any(text in str(error).lower() for text in SCARCE):
        return None
    return f"free memory, or raise the limits of the shell (ulimit -a), which made this fail: {one_line(error)}"


def for_certain(error: BaseException) -> bool:
    """Return whether the kind of an error, not only its text, says that memory or threads are scarce."""
    if hasattr(error, "characters_written"):  # a full pipe that does not block, such as standard output
        return False
    by_name = isinstance(error, MemoryError) or getattr(error, "errno", None) in (errno.ENOMEM, errno.EAGAIN)
    return by_name or any(isinstance(error, kind) and text in str(error) for kind, text in CERTAIN)


def _check_threads(count: int) -> None:
    """Start this many threads at once, as two processes that import numerical libraries do."""
    done, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(count):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        raise RefusedError(
            f"only {len(started)} of {count} threads can be started; end other processes of this user, or raise the "
            "limit of the shell (ulimit -u) or of the container"
        ) from None
    finally:
        done.set()
        for thread in started:
            thread.join()


def _check_imports(modules: tuple[str, ...], limited: dict[str, int]) -> None:
    from arbench.bench.workers.failure import exit_reason

    try:
        tried = subprocess.run(
            [sys.executable, "-c", f"import {', '.join(modules)}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        why = exit_reason(tried.returncode, tried.stdout).removeprefix("the worker ") if tried.returncode else None
    except OSError as error:
        why = f"to start a process failed: {error.strerror}"
    if why is not None:
        shown = " and ".join(f"{size >> 20} MiB of memory (ulimit -{name})" for name, size in limited.items())
        raise RefusedError(f"{shown} are too little for what this command imports; raise the limit; an attempt {why}")

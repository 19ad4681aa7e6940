"""Work that a call hands to other threads and processes, where no dispatch mode follows it."""

from __future__ import annotations

import _thread
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.pool import Pool
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from arbench.meters.patch import patched

_STARTS = (
    (threading.Thread, "start", "thread"),
    (_thread, "start_new_thread", "thread"),
    (ThreadPoolExecutor, "submit", "thread"),
    (Pool, "_check_running", "process"),
    (ProcessPoolExecutor, "submit", "process"),
    (BaseProcess, "start", "process"),
    (subprocess.Popen, "__init__", "process"),
    (os, "system", "process"),
    (os, "fork", "process"),
    (os, "posix_spawn", "process"),
)
_COMPILERS = ("triton", "torch", "numba")
"""Packages that run programs to compile a kernel, which is no part of a call's work."""


@contextmanager
def handed_over(unseen: Callable[[str], None]) -> Iterator[None]:
    """Call ``unseen`` with a reason whenever this thread gives work to another one, or to a process."""
    own = threading.get_ident()

    def reporting(kind: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def start(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == own and not _compiles():
                unseen(f"the call gave work to another {kind}, where it is not seen")
            return inner(*args, **kwargs)

        return start

    with patched([(where, name, functools.partial(reporting, kind)) for where, name, kind in _STARTS]):
        yield


def _compiles() -> bool:
    """Return True if the process is started by a package that compiles."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in ("subprocess", "os"):
        frame = frame.f_back
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _COMPILERS

"""Regular files, and folders that leave no trace when nothing is written into them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IRREGULAR = "not a regular file; save its content to a file, and name that"
"""Reason to refuse a pipe, a socket or a device, with what to do instead."""


def require_regular(path: str | Path) -> None:
    """Raise unless a path names a regular file, a folder, or nothing.

    Opening a pipe waits for its other end, and reading a device may never end.

    Raises:
        OSError: the path names a pipe, a socket or a device; its ``strerror`` says what to do instead.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # missing, or no possible name: opening it says so
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, IRREGULAR, str(path))


@contextmanager
def passing_folder(folder: Path) -> Iterator[None]:
    """Create a folder with its parents for a while; afterwards remove those that are new and still empty.

    Raises:
        OSError: the folder cannot be created.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for place in new:
            with suppress(OSError):  # never created, or filled by another process
                place.rmdir()

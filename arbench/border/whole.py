"""Files that are written whole: each appears complete, or the one before it stays."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from arbench.border.printable import printable
from arbench.files import passing_folder

_ATTEMPTS = 100
"""Times to create a folder again that other processes remove."""
_LINKS = 40
"""Most links that lead to a file, as in the kernel."""


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, completely or not at all; its unprintable characters are spelled out.

    Raises:
        OSError: the file cannot be written; an existing one is unchanged.
    """
    write_bytes(path, printable(text).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, completely or not at all, in a folder that is created if it is missing.

    What is no plain file is written in place, and so is ``/dev/stdout``, also where it is redirected to a plain file:
    what that contains stays before it.

    Raises:
        OSError: the file cannot be written; an existing one is unchanged.
    """
    opened = _descriptor(path)
    if opened is not None or (path.exists() and not path.is_file()):
        with path.open("wb") if opened is None else os.fdopen(os.dup(opened), "wb") as file:
            file.write(content)
        return
    target = Path(os.path.realpath(path))  # a link stays a link
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(beside, os.stat(target).st_mode & 0o7777)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _descriptor(path: Path) -> int | None:
    """Return which open descriptor of this process a path such as ``/dev/stdout`` means; None if it means none."""
    for _ in range(_LINKS):
        path = Path(os.path.realpath(path.parent)) / path.name
        if str(path.parent) in ("/dev/fd", f"/proc/{os.getpid()}/fd") and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def check_folder(folder: Path) -> None:
    """Check that files can be written into a folder, and leave no trace; several processes may check one at once.

    Raises:
        OSError: they cannot.
    """
    for last in (*[False] * _ATTEMPTS, True):
        try:
            with passing_folder(folder), tempfile.TemporaryFile(dir=folder):
                return
        except (FileNotFoundError, FileExistsError):
            if last or _is_other(folder):  # else another check removes it meanwhile
                raise


def _is_other(folder: Path) -> bool:
    """Return whether something that is no folder has this path."""
    try:
        return not stat.S_ISDIR(os.stat(folder).st_mode)
    except FileNotFoundError:
        return folder.is_symlink()


def check_file(path: Path) -> None:
    """Check that a file can be written, and leave no trace.

    Raises:
        OSError: it cannot, or it is a folder.
    """
    opened = _descriptor(path)
    if opened is not None:
        if fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Not open for writing")
        return
    try:
        found = os.stat(path)
    except FileNotFoundError:
        folder = Path(os.path.realpath(path)).parent
        check_folder(folder)
        with passing_folder(folder), suppress(FileNotFoundError):  # a name may still be too long
            os.stat(path)
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if stat.S_ISREG(found.st_mode):
        check_folder(Path(os.path.realpath(path)).parent)
    else:  # a pipe that nobody reads fails at once
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

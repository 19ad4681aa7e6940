"""The one error of this room, and the checks on paths that every loader shares."""

from __future__ import annotations

from pathlib import Path


class DataError(Exception):
    """Data that cannot be used.

    The message is one line for the user: the path, what is wrong with it, what would be right.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{_printable(str(path))}: {problem}")


def _printable(text: str) -> str:
    """``text`` with what would break a line or a terminal escaped: a path may hold any byte."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def require_file(path: Path, wanted: str) -> None:
    """Returns if ``path`` is a file with something in it.

    Raises:
        DataError: it is missing, a folder, a device or a pipe, out of reach, or empty; ``wanted``
            says what should be there.
    """
    try:
        if path.is_dir():
            raise DataError(path, f"is a folder; wanted {wanted}")
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(path, f"does not exist; wanted {wanted}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataError(path, f"cannot be reached ({reason(error)}); wanted {wanted}") from None
    if not path.is_file():
        raise DataError(path, f"is not a regular file; wanted {wanted}")
    if size == 0:
        raise DataError(path, f"is empty; wanted {wanted}")


def reason(error: Exception) -> str:
    """What went wrong, in the system's words and without the path, on one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".")


def files_of(path: Path, suffix: str, wanted: str) -> list[Path]:
    """The file ``path``, or the files of the folder ``path`` with ``suffix`` (in any case), sorted.

    Raises:
        DataError: there is no such file, or the folder has none.
    """
    try:
        if not path.is_dir():
            return [path]
        found = sorted(file for file in path.iterdir() if file.suffix.lower() == suffix)
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be reached ({reason(error)}); wanted {wanted}") from None
    if not found:
        raise DataError(path, f"is a folder without {suffix} files; wanted {wanted}")
    return found

"""The error of all loaders, and their checks of paths."""

from __future__ import annotations

from pathlib import Path


class DataError(Exception):
    """Unusable data.

    The message is one line for the user: the path, the problem, and what is wanted instead.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{_printable(str(path))}: {problem}")


def _printable(text: str) -> str:
    """Return ``text`` with control characters escaped, because a path may contain any byte."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def require_file(path: Path, wanted: str) -> None:
    """Raise unless ``path`` is a regular file that is not empty.

    Args:
        path: path to check.
        wanted: description of the right file, for the message.

    Raises:
        DataError: the path is missing, unreachable, empty, a folder, a device or a pipe.
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
    """Return the system's description of an error on one line, without the path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".")


def files_of(path: Path, suffix: str, wanted: str) -> list[Path]:
    """Return the file ``path``, or the sorted files in the folder ``path`` with ``suffix`` (in any case).

    Raises:
        DataError: the path cannot be reached, or the folder has no such file.
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

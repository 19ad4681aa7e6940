"""Text: a corpus that every Python installation has, and the user's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arbench.data.errors import DataError, reason, require_file


def corpus() -> str:
    """Return the topics of Python's built-in help, ``pydoc_data.topics``, in order of their names.

    They are about half a million characters of technical English; the exact text depends on the version of Python.
    """
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def load_text(path: str | Path, at_least: int = 1) -> str:
    """Read a whole UTF-8 text file with its line ends, without a byte-order mark.

    Args:
        path: file to read.
        at_least: smallest number of characters.

    Raises:
        DataError: the file is missing, a folder, empty, not UTF-8, or too short.
    """
    path = Path(path)
    wanted = "a UTF-8 text file"
    require_file(path, wanted)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(path, f"cannot be read ({reason(error)}); wanted {wanted}") from None
    except UnicodeDecodeError as error:
        raise DataError(path, f"is not UTF-8 at byte {error.start}; wanted {wanted}") from None
    if not text.strip():
        raise DataError(path, "contains only white space; wanted text")
    if len(text) < at_least:
        raise DataError(path, f"is too short: {len(text)} characters; wanted at least {at_least}")
    return text


def as_bytes(text: str) -> NDArray[np.int64]:
    """Return the UTF-8 bytes of ``text`` as tokens 0 to 255: (bytes,)."""
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.int64)


def as_symbols(tokens: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
    """Return tokens renamed to 0 .. levels-1 from the most common on; all rarer ones become levels-1.

    Raises:
        ValueError: fewer than two levels.
    """
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")
    values, counts = np.unique(tokens, return_counts=True)
    name = np.full(int(values.max()) + 1, levels - 1)
    commonest = values[np.argsort(-counts, kind="stable")][: levels - 1]
    name[commonest] = np.arange(len(commonest))
    return name[tokens]

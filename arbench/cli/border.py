"""The border of the terminal: whatever a command prints, a name or an error of others cannot act on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from arbench.border.printable import printable


class OutputError(OSError):
    """Failure to write standard output."""


class Output:
    """Standard output, whose failures are told from those of other files.

    Args:
        inner: the stream to write to; everything but writing is its own.
    """

    def __init__(self, inner: TextIO) -> None:
        self.inner = inner

    def write(self, text: str) -> int:
        """Write text. Raises OutputError if that fails."""
        with _told():
            return self.inner.write(text)

    def flush(self) -> None:
        """Flush what was written. Raises OutputError if that fails."""
        with _told():
            self.inner.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from None


class Printable:
    """A stream whose text is printable, and that its terminal can show.

    Args:
        inner: the stream to write to; everything but writing is its own.
    """

    def __init__(self, inner: TextIO) -> None:
        self.inner = inner

    def write(self, text: str) -> int:
        """Write text; what is unprintable, or missing in the encoding, is spelled out."""
        encoding = self.inner.encoding or "utf-8"
        self.inner.write(printable(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # nothing may pass beside ``write``
            raise AttributeError(name)
        return getattr(self.inner, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Make whatever is written to standard output and standard error printable."""
    inner: Any = Output(sys.stdout)
    out: Any = Printable(inner)
    err: Any = Printable(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        yield


def terminal() -> TextIO:
    """Return standard error for a program that controls the terminal itself; its text must be printable before."""
    return sys.stderr.inner if isinstance(sys.stderr, Printable) else sys.stderr

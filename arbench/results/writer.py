"""The writer of results files: appends lines, seals them, and notices when the file is taken away."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec

from arbench.border.printable import to_json
from arbench.files import require_regular
from arbench.results.checks import decoded
from arbench.results.errors import ResultsError, WriteError
from arbench.results.schema import LATER
from arbench.results.schema.line import Line
from arbench.results.schema.run import Seal
from arbench.results.seals import Integrity, Tape

_ATTEMPTS = 100
"""Times to create a folder again that others, who only check it, remove."""


class Writer:
    """Appends lines to one results file, which no other process can write while this one is open.

    If the file is deleted, replaced or changed by another program, all lines so far are written to a new file, which
    gets the later ones too.

    Args:
        path: the file; created if missing, with its folder. A torn last line is cut off.

    Attributes:
        path: the file that is written.
        moves: a sentence for each time that it was taken away.

    Raises:
        ResultsError: another process is writing the file, or it cannot be created or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moves: list[str] = []
        try:
            require_regular(path)
            self._fd = _opened(path, os.O_CREAT)
        except OSError as error:
            raise ResultsError(f"cannot write {path}: {error.strerror}") from None
        except ValueError as error:  # a path with a null character
            raise ResultsError(f"cannot write {path}: {error}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise ResultsError(f"{path} is being written by another run; choose another --out") from None
        self._content = bytearray()
        self._wound = (Tape(), 0)
        self._load()
        self._inherited = self._tape.lines - self._tape.whole
        """Number of lines that others wrote, and no seal covers yet."""

    def _load(self) -> None:
        """Read the lines that are there, and cut off a torn last one."""
        size = os.fstat(self._fd).st_size
        there = os.pread(self._fd, size, 0) if size else b""
        self._content += there[: there.rfind(b"\n") + 1]
        if len(self._content) != size:
            os.ftruncate(self._fd, len(self._content))

    @property
    def _tape(self) -> Tape:
        """The tape of all lines; an interrupt leaves it with all it had, or with all lines."""
        tape, length = self._wound
        if length < len(self._content):
            tape = tape.copy()
            for raw in self._content[length:].splitlines(keepends=True):
                tape.add(raw, _as_seal(raw))
            self._wound = (tape, len(self._content))
        return tape

    @property
    def empty(self) -> bool:
        """True while the file contains no line."""
        return not self._content

    @property
    def integrity(self) -> Integrity:
        """The finding of the file's seals about its lines."""
        return self._tape.integrity(promised=self._tape.whole > 0)

    def write(self, line: Line) -> None:
        """Append a whole line, or leave the file as it was.

        Raises:
            WriteError: the disk is full or the write fails; every earlier line is intact.
            ValueError: the reader would refuse the line, and with it the file.
        """
        raw = _encoded(line)
        decoded(raw)
        raw += b"\n"
        self._keep_place()
        at, done = len(self._content), 0
        try:
            while done < len(raw):
                done += os.pwrite(self._fd, raw[done:], at + done)
            self._content += raw
        except OSError as error:
            raise WriteError(f"cannot write {self.path}: {error.strerror}; the earlier lines are intact") from None
        finally:
            if os.fstat(self._fd).st_size > len(self._content):  # also after an interrupt
                os.ftruncate(self._fd, len(self._content))

    def seal(self, end: bool = False) -> None:
        """Append a seal, unless the last line is one that says the same.

        Args:
            end: whether the run ends here.

        Raises:
            WriteError: the disk is full or the write fails; every earlier line is intact.
        """
        tape = self._tape
        if not self.empty and (tape.sealed is None or (end and not tape.sealed.end)):
            self.write(tape.seal(end, self._inherited))
            self._inherited = 0

    def _keep_place(self) -> None:
        """Write everything again into a new file if this one was taken away. Raises WriteError if that fails."""
        why = self._taken()
        if why is None:
            return
        old, fd = self.path, -1
        try:
            for path in _places(old):
                try:
                    fd = _opened(path, os.O_CREAT | os.O_EXCL)
                    break
                except FileExistsError:
                    continue
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            done = 0
            while done < len(self._content):
                done += os.pwrite(fd, self._content[done:], done)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise WriteError(f"{old} {why}, and {path} cannot be written: {error.strerror}") from None
        os.close(self._fd)
        self._fd, self.path = fd, path
        self.moves.append(f"{old} {why} while it was written; all results are in {path}")

    def _taken(self) -> str | None:
        """Return what another program did to the file, or None if nothing."""
        mine = os.fstat(self._fd)
        try:
            there = os.stat(self.path)
        except OSError:
            return "was deleted"
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            return "was replaced"
        return None if mine.st_size == len(self._content) else "was changed"

    def close(self) -> None:
        """Flush to disk, and close and unlock the file.

        Raises:
            WriteError: the flush fails, so that the last lines may be lost; the file is closed.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.fsync(fd)
            except OSError as error:
                raise WriteError(
                    f"{self.path} may lack its last lines: {error.strerror}; free space on its disk, then --resume",
                    closing=True,
                ) from None
            finally:
                os.close(fd)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opened(path: Path, flags: int) -> int:
    for last in (*[False] * _ATTEMPTS, True):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o644)
        except FileNotFoundError:
            if last:
                raise
    raise AssertionError


def _places(path: Path) -> Iterator[Path]:
    """Yield the path, then others beside it: ``results-2.jsonl``, ..."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _as_seal(raw: bytes | bytearray) -> Seal | None:
    try:
        return msgspec.json.decode(raw, type=Seal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _encoded(line: Line) -> bytes:
    """Encode a line; where its later fields are at their default it looks as it did before those fields."""
    if type(line) not in LATER:
        return to_json(line)
    facts = msgspec.to_builtins(line)
    defaults = dict(zip(reversed(line.__struct_fields__), reversed(line.__struct_defaults__), strict=False))
    for name in LATER[type(line)]:
        if facts[name] == defaults[name]:
            del facts[name]
    return to_json(facts)

"""Seals: whether the lines of a results file are those that were written.

A seal line is written after each round and at the end. It states how many lines precede it, and their digest. That
shows damage: a line that is missing, doubled or changed. It does not show forgery: whoever changes a line can write
the seals again. A file that was merged from several has no true seals, since each seal is about one file's lines.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass

from arbench.results.schema.run import Seal


@dataclass(frozen=True)
class Integrity:
    """Finding of a file's seals about its lines.

    Attributes:
        sealed: whether the file has seals, or was to have them; False for files from before seals, for baselines and
            for files of other programs.
        whole: number of lines up to the last seal, and with it.
        after: number of lines after it, which no seal covers.
        ended: whether the last seal is that of the run's end.
        unsealed: number of lines that were sealed only when the run was continued.
    """

    sealed: bool = False
    whole: int = 0
    after: int = 0
    ended: bool = False
    unsealed: int = 0

    @property
    def intact(self) -> bool:
        """True if a seal of the run's end covers every line."""
        return self.ended and not self.after


class Tape:
    """Lines that grow at the end, with their number and digest."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.lines = 0
        self.sealed: Seal | None = None
        """The last seal, while no line follows it."""
        self.whole = 0
        """Number of lines up to the last seal, and with it."""
        self.unsealed = 0
        """Number of lines that were sealed only when the run was continued."""

    def copy(self) -> Tape:
        """Return a tape of the same lines that grows on its own."""
        other = copy.copy(self)
        other._digest = self._digest.copy()
        return other

    def add(self, raw: bytes | bytearray, seal: Seal | None = None) -> None:
        """Add one line.

        Args:
            raw: the line, with its newline.
            seal: the line as it was read, if it is a seal.
        """
        self._digest.update(raw)
        self.lines += 1
        self.sealed = seal
        if seal is not None:
            self.whole = self.lines
            self.unsealed += seal.unsealed

    def seal(self, end: bool = False, unsealed: int = 0) -> Seal:
        """Return the seal of all lines so far, with ``end`` and ``unsealed`` as in ``Seal``."""
        return Seal(self.lines, self._digest.hexdigest(), end, unsealed)

    def agrees(self, seal: Seal) -> bool:
        """Return whether a seal that comes next is that of all lines so far."""
        return (seal.lines, seal.sha256) == (self.lines, self._digest.hexdigest())

    def integrity(self, promised: bool) -> Integrity:
        """Return what the seals say; ``promised`` is whether the first line promises seals."""
        if not promised and not self.whole:
            return Integrity()
        last = self.sealed
        return Integrity(
            sealed=True,
            whole=self.whole,
            after=self.lines - self.whole,
            ended=last is not None and last.end,
            unsealed=self.unsealed,
        )

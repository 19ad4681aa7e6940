"""Reading folders of events that were written before, perhaps by others: nothing in them is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from arbench.border.gallery.writing import LINES
from arbench.border.printable import on_one_line
from arbench.files import require_regular

MOST_BYTES = 2**26
"""Size of the largest file that is read."""


class GalleryError(Exception):
    """A folder of events that cannot be read, in one line."""


class Translation(msgspec.Struct):
    """The likeliest translation of the conditioning of an event."""

    bits_per_element: float
    elements: int
    log_prob: float | None = None


class Event(msgspec.Struct):
    """An event as a line of ``samples.jsonl`` has it; further fields are ignored."""

    model: str
    preset: str
    method: str
    element: str
    n: int
    file: str
    real: str
    weights: str = "random"
    held_out: bool = False
    elements: int | None = None
    bits_per_element: float | None = None
    log_prob: float | None = None
    density: bool = False
    context: dict[str, str | int] = {}
    remark: str = ""
    translation: Translation | None = None
    level_db: float | None = None
    real_level_db: float | None = None
    spectrum_db: float | None = None
    real_spectrum_db: float | None = None


@dataclass(frozen=True)
class Gallery:
    """Events of one model.

    Attributes:
        folder: the folder, which holds all files that the events name.
        events: the events, at least one.
    """

    folder: Path
    events: Sequence[Event]

    @property
    def ending(self) -> str:
        """Suffix of the files, which says what the events are: ``.png``, ``.wav``, ``.txt`` or ``.tsv``."""
        return Path(self.events[0].file).suffix

    def content(self, name: str) -> bytes:
        """Return the content of a file of the folder. Raises GalleryError where it lies elsewhere or is no file."""
        path = self.folder / name
        if name != Path(name).name or path.is_symlink():
            raise GalleryError(f"{on_one_line(name)} is not a file in {on_one_line(self.folder)}")
        return _content(path)

    def text(self, name: str) -> str:
        """Return the text of a file of the folder; bytes that are not UTF-8 are spelled out."""
        return self.content(name).decode("utf-8", "backslashreplace")


def galleries(folder: Path) -> tuple[list[Gallery], list[str]]:
    """Return what lies in the subfolders of a folder, by name, and a line for each that cannot be read."""
    found, problems = [], []
    for path in sorted(folder.glob(f"*/{LINES}")):
        try:
            found.append(read(path.parent))
        except GalleryError as error:
            problems.append(str(error))
    return found, problems


def read(folder: Path) -> Gallery:
    """Return the events of a folder.

    Raises:
        GalleryError: the folder has no ``samples.jsonl``, or a line of it does not say what it must.
    """
    path = folder / LINES
    try:
        events = msgspec.json.Decoder(Event).decode_lines(_content(path))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GalleryError(f"{on_one_line(path)}: {on_one_line(error)}") from None
    if not events:
        raise GalleryError(f"{on_one_line(path)}: has no event")
    return Gallery(folder, events)


def _content(path: Path) -> bytes:
    try:
        require_regular(path)
        if path.stat().st_size > MOST_BYTES:
            raise GalleryError(f"{on_one_line(path)}: larger than {MOST_BYTES // 2**20} MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise GalleryError(f"{on_one_line(path)}: {getattr(error, 'strerror', None) or on_one_line(error)}") from None

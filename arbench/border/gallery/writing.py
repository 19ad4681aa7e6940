"""Writing a folder of events."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from arbench.border.media import png, wav
from arbench.border.printable import on_one_line, to_json
from arbench.border.shown import Picture, Shown, Sound, Text
from arbench.border.whole import write_bytes, write_text

FOLDER = "samples"
"""Folder beside the results of a run whose subfolders hold events of its models."""
LINES = "samples.jsonl"
"""File with a line for each event; it is written last."""
GRID, REAL_GRID, TABLE = "samples.png", "real.png", "samples.tsv"
Told = Mapping[str, Sequence[Shown | int]]
"""Conditioning of events by name, an entry for each."""


def write(
    folder: Path,
    events: Sequence[Shown],
    real: Sequence[Shown],
    told: Told,
    lines: Sequence[Any],
    translations: Sequence[Shown] | None = None,
) -> list[Path]:
    """Write events of one kind beside real ones with the same conditioning.

    Pictures are ``sample-0.png`` and so on, with all of them in ``samples.png`` and the real ones in ``real.png``;
    sounds ``sample-0.wav`` and ``real-0.wav``; texts ``sample-0.txt`` and ``real-0.txt``. Texts that translate another
    are a table, ``samples.tsv``.

    Args:
        folder: created if it is missing.
        events: the events.
        real: the real ones.
        told: the conditioning.
        lines: what is known of each event, by name; ``file``, ``real`` and ``context`` are added.
        translations: the likeliest translations of the conditioning, for the table; its lines then say how likely both
            these and the events are.

    Returns:
        The files, those to open first at the beginning.

    Raises:
        FileExistsError: the folder holds samples.
        OSError: a file cannot be written.
    """
    if (folder / LINES).exists():
        raise FileExistsError(errno.EEXIST, "holds samples already; choose another folder", str(folder))
    table = _is_table(events, told)
    files, first = dict[str, bytes](), list[str]()
    said = []
    for number, (event, other, line) in enumerate(zip(events, real, lines, strict=True)):
        name, beside = f"sample-{number}{_ENDING[type(event)]}", f"real-{number}{_ENDING[type(event)]}"
        context = {key: _told(values[number], f"{key}-{number}", files) for key, values in told.items()}
        if table:
            name = beside = TABLE
        else:
            files[name] = _content(event)
            first.append(name)
        if isinstance(event, Picture):
            beside = REAL_GRID
        elif not table:
            files[beside] = _content(other)
        remark = {"remark": event.remark} if isinstance(event, Text) and event.remark else {}
        said.append({**line, "file": name, "real": beside, "context": context, **remark})
    if isinstance(events[0], Picture):
        files[GRID], files[REAL_GRID] = (png(cast(Sequence[Picture], some)) for some in (events, real))
        first = [GRID, REAL_GRID]
    if table:
        files[TABLE] = _table(events, real, told, lines, translations).encode()
        first = [TABLE]
    for name, content in files.items():
        write_bytes(folder / name, content)
    write_text(folder / LINES, "".join(f"{to_json(line).decode()}\n" for line in said))
    return [folder / name for name in [*first, LINES]]


_ENDING: Mapping[type[Shown], str] = {Picture: ".png", Sound: ".wav", Text: ".txt"}


def _is_table(events: Sequence[Shown], told: Told) -> bool:
    return isinstance(events[0], Text) and isinstance(told.get("source", [None])[0], Text)


def _content(event: Shown) -> bytes:
    if isinstance(event, Picture):
        return png([event])
    return wav(event) if isinstance(event, Sound) else f"{event.text}\n".encode()


def _told(value: Shown | int, name: str, files: dict[str, bytes]) -> str | int:
    """Return a label or a text; a picture or a sound goes into a file, whose name is returned."""
    if isinstance(value, Picture | Sound):
        file = f"{name}{_ENDING[type(value)]}"
        files[file] = _content(value)
        return file
    return value.text if isinstance(value, Text) else value


def _table(
    events: Sequence[Shown], real: Sequence[Shown], told: Told, lines: Sequence[Any], best: Sequence[Shown] | None
) -> str:
    """Return the texts of each event divided by tabs, with those within them spelled out, and log-probabilities."""
    columns = {"source": _lines(told["source"]), "reference": _lines(real)}
    if best is not None:
        columns["translation"] = _lines(best)
        columns |= _log_probs("translation", [line["translation"] for line in lines])
    columns["sample"] = _lines(events)
    if best is not None:
        columns |= _log_probs("sample", lines)
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _lines(texts: Sequence[Shown | int]) -> list[str]:
    return [on_one_line(one.text) for one in texts if isinstance(one, Text)]


def _log_probs(of: str, lines: Sequence[Any]) -> dict[str, list[str]]:
    """Return a column of log-probabilities in nats, of all elements together where no other is known."""
    name = "log_prob" if lines[0]["log_prob"] is not None else "joint_log_prob"
    return {f"{of}_{name}": [f"{line[name]:.6g}" for line in lines]}

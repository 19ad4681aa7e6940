"""Samples of models to look at, to listen to and to read, from the folders that ``arbench sample`` writes."""

from __future__ import annotations

import os
import shlex
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from urllib.parse import quote

from arbench.border import media
from arbench.border.gallery import FOLDER, GRID, REAL_GRID, TABLE, Event, Gallery, GalleryError, galleries
from arbench.border.naming import file_name
from arbench.border.printable import on_one_line, printable
from arbench.report.figures.spectrogram import spectrogram
from arbench.report.labels import model_label
from arbench.report.quantities import NONE, Column
from arbench.report.table import Table
from arbench.results import Results, with_preset

MOST_EMBEDDED = 2_000_000
"""Most characters of pictures and sounds in a page, all samples together; each folder has an equal share."""
MOST_S = 3.0
"""Seconds of a sound that a page plays at most."""
MOST_CHARACTERS, MOST_IN_CELL = 600, 240
"""Characters of a text that are quoted at most, and of a cell of a table."""
MOST_ROWS = 16
"""Sounds, texts and translations of a folder that are shown at most."""


@dataclass(frozen=True)
class Shot:
    """A picture within a page.

    Attributes:
        uri: the picture itself, as a data URI.
        alt: what it shows, in words.
        caption: what stands below it.
        size: width and height in dots.
    """

    uri: str
    alt: str
    caption: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Player:
    """A sound within a page: FLAC as a data URI, its spectrogram, and what is known of it in words."""

    uri: str
    label: str
    picture: Shot
    said: str


@dataclass(frozen=True)
class Passage:
    """A text, with its heading."""

    label: str
    text: str


@dataclass
class Exhibit:
    """The samples of one folder.

    Attributes:
        model: label of the model.
        said: what was drawn, and how many bits an element costs.
        folder: the folder, as a path from that of the page.
        shots: a grid of pictures, and one of real pictures.
        pairs: each sound beside the real one.
        passages: each text, and then the real one.
        table: source, reference and sample of each translation.
        notes: what is cut or missing.
        links: names and links of the files, for markdown.
    """

    model: str
    said: str
    folder: str
    shots: list[Shot] = field(default_factory=list)
    pairs: list[list[Player]] = field(default_factory=list)
    passages: list[list[Passage]] = field(default_factory=list)
    table: Table | None = None
    notes: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Exhibition:
    """All samples of a run.

    Attributes:
        exhibits: those of each folder.
        problems: a line for each folder that cannot be read.
        commands: for each model with trained weights that has no samples, its label and the command that draws some.
    """

    exhibits: Sequence[Exhibit] = ()
    problems: Sequence[str] = ()
    commands: Sequence[tuple[str, str]] = ()


def exhibition(results: Results, folder: Path, page: Path) -> Exhibition:
    """Return the samples that lie in the subfolders of ``folder / "samples"``.

    Args:
        results: the run.
        folder: the folder of its results.
        page: the folder of the page, which links lead from.
    """
    found, problems = galleries(folder / FOLDER)
    exhibits: list[Exhibit] = []
    left = MOST_EMBEDDED
    for number, one in enumerate(found):
        share = _Share(left // (len(found) - number))
        try:
            exhibits.append(_exhibit(one, page, share))
        except (GalleryError, ValueError) as error:
            problems.append(f"{on_one_line(one.folder)}: {on_one_line(error)}")
        left -= share.used
    drawn = {one.model for one in exhibits}
    return Exhibition(exhibits, problems, _commands(results, folder, drawn))


def _commands(results: Results, folder: Path, drawn: set[str]) -> list[tuple[str, str]]:
    trained = {model_label(one) for one in results.models.values() if one.trained is not None}
    cases = results.run.plan.get("cases")
    specs: dict[str, str] = {}
    for case in cases if isinstance(cases, list) else []:
        if isinstance(case, dict) and all(isinstance(case.get(key), str) for key in ("model", "preset", "spec")):
            specs.setdefault(on_one_line(with_preset(case["model"], case["preset"])), case["spec"])
    missing = {label: spec for label, spec in specs.items() if label in trained - drawn}
    names: list[str] = []
    for label in missing:
        names.append(file_name(label, names, "model"))
    return [
        (label, shlex.join(["arbench", "sample", "--model", spec, "--out", str(folder / FOLDER / name)]))
        for (label, spec), name in zip(missing.items(), names, strict=True)
    ]


@dataclass
class _Share:
    """Characters that a folder may embed, and those that it has."""

    most: int
    used: int = 0
    left_out: int = 0

    def uri(self, kind: str, *contents: bytes) -> list[str]:
        """Return files as data URIs, or nothing where they are too large together; kinds are MIME types, by comma."""
        made = [
            f"data:{mime};base64,{b64encode(one).decode()}" for mime, one in zip(kind.split(","), contents, strict=True)
        ]
        if self.used + sum(map(len, made)) > self.most:
            self.left_out += 1
            return []
        self.used += sum(map(len, made))
        return made


def _exhibit(one: Gallery, page: Path, share: _Share) -> Exhibit:
    first = one.events[0]
    label = on_one_line(with_preset(first.model, first.preset))
    found = Exhibit(label, _said(one), on_one_line(os.path.relpath(one.folder.resolve(), page.resolve())))
    {".png": _pictures, ".wav": _sounds, ".tsv": _translations}.get(one.ending, _texts)(one, found, share)
    if share.left_out:
        found.notes.append(f"{share.left_out} more in the folder alone, so that the page stays small")
    names = dict.fromkeys(
        [GRID, REAL_GRID] if one.ending == ".png" else [TABLE] if one.ending == ".tsv" else _files(one)
    )
    found.links = [(name, _link(one.folder / name, page)) for name in map(on_one_line, names)]
    return found


def _files(one: Gallery) -> list[str]:
    return [name for event in one.events[:MOST_ROWS] for name in (event.file, event.real)]


def _link(path: Path, page: Path) -> str:
    return quote(os.path.relpath(path.resolve(), page.resolve()))


def _said(one: Gallery) -> str:
    first, bits = one.events[0], [b for event in one.events if (b := event.bits_per_element) is not None]
    weights = ", random weights" if first.weights == "random" else ""
    cost = f": {fmean(bits):.3f} bits per {on_one_line(first.element)} on average" if bits else ""
    real = f"Real ones are of {'held-out data' if first.held_out else 'the data'}"
    same = ", with the same conditioning" if first.context else ""
    return (
        f"{_several(len(one.events), 'event')} of {_several(first.n, on_one_line(first.element))} drawn by "
        f"{on_one_line(first.method)} and verified{weights}{cost}. {real}{same}."
    )


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _bits(event: Event) -> str:
    return NONE if event.bits_per_element is None else f"{event.bits_per_element:.2f}"


def _told(event: Event) -> str:
    """Return the conditioning that is no file: ``, class 3``."""
    known = {key: value for key, value in event.context.items() if not str(value).endswith((".png", ".wav"))}
    return "".join(f", {on_one_line(key)} {on_one_line(value)}" for key, value in known.items())


def _pictures(one: Gallery, found: Exhibit, share: _Share) -> None:
    unit = f"Bits per {on_one_line(one.events[0].element)}, in the order of the grid"
    bits = f"{unit}: {', '.join(map(_bits, one.events))}."
    captions = {GRID: f"Drawn by {found.model}. {bits}", REAL_GRID: "Real ones."}
    for name, caption in captions.items():
        content = one.content(name)
        size = media.size(content)
        what = "drawn by " + found.model if name == GRID else "real, from the data"
        alt = f"grid of {_several(len(one.events), 'picture')} {what}"
        found.shots += [Shot(uri, alt, caption, size) for uri in share.uri("image/png", content)]


def _sounds(one: Gallery, found: Exhibit, share: _Share) -> None:
    longest = 0.0
    for number, event in enumerate(one.events[:MOST_ROWS], 1):
        far = [None if db is None else f"{db:.1f} dB" for db in (event.spectrum_db, event.real_spectrum_db)]
        said = [
            [
                f"{_bits(event)} bits per {on_one_line(event.element)}",
                _level(event.level_db),
                far[0] and f"spectrum {far[0]} from real ones",
            ],
            [_level(event.real_level_db), far[1] and f"spectrum {far[1]} from other real ones"],
        ]
        contents = []
        for name in (event.file, event.real):
            sound, seconds = media.opened(one.content(name), MOST_S)
            longest = max(longest, seconds)
            contents += [media.flac(sound), spectrogram(sound)]
        made = share.uri("audio/flac,image/png,audio/flac,image/png", *contents)
        pair = []
        for kind, uri, image, picture, facts in zip(
            ("sample", "real"), made[::2], made[1::2], contents[1::2], said, strict=False
        ):
            label = f"{kind} {number}{_told(event)}"
            shot = Shot(image, f"spectrogram of {label} of {found.model}", "", media.size(picture))
            pair.append(Player(uri, label, shot, " · ".join(filter(None, facts))))
        if pair:
            found.pairs.append(pair)
    if longest > MOST_S:
        found.notes.append(f"The page plays the first {MOST_S:g} s of {longest:.1f} s; the folder has all.")


def _level(db: float | None) -> str:
    return "" if db is None else f"{db:.1f} dBFS"


def _texts(one: Gallery, found: Exhibit, _: _Share) -> None:
    cut = False
    for number, event in enumerate(one.events[:MOST_ROWS], 1):
        remark = f", {on_one_line(event.remark)}" if event.remark else ""
        texts = [one.text(name) for name in (event.file, event.real)]
        labels = [
            f"sample {number}{_told(event)}, {_bits(event)} bits per {on_one_line(event.element)}{remark}",
            f"real {number}{remark}",
        ]
        found.passages.append([Passage(label, _cut(text)) for label, text in zip(labels, texts, strict=True)])
        cut = cut or any(len(text) > MOST_CHARACTERS for text in texts)
    if cut:
        found.notes.append(f"Of each text the first {MOST_CHARACTERS} characters are shown; the folder has all.")


def _cut(text: str, most: int = MOST_CHARACTERS) -> str:
    text = printable(text).removesuffix("\n")
    return text if len(text) <= most else f"{text[:most]} …"


def _translations(one: Gallery, found: Exhibit, _: _Share) -> None:
    head, *rows = [line.split("\t") for line in one.text(one.events[0].file).splitlines()] or [[]]
    texts = [name for name in ("source", "reference", "translation", "sample") if name in head]
    wanted = len(rows) == len(one.events) and all(len(row) == len(head) for row in rows)
    if not wanted or not {"source", "reference", "sample"} <= set(texts):
        raise GalleryError(f"{TABLE} does not have source, reference and sample of each event")
    unit = f"bits per {on_one_line(one.events[0].element)}"
    columns, cells = list[Column](), list[list[str]]([] for _ in rows)
    for name in texts:
        columns.append(Column(name, number=False, wraps=True))
        if name in _COSTS:
            columns.append(Column(unit))
        for row, cell, event in zip(rows, cells, one.events, strict=True):
            cell.append(_shortened(row[head.index(name)]))
            if name in _COSTS:
                cell.append(_COSTS[name](event))
    notes = list(dict.fromkeys(f"Shown are {on_one_line(event.remark)}." for event in one.events if event.remark))
    if "translation" in texts:
        same = sum(row[head.index("translation")] == row[head.index("reference")] for row in rows)
        notes.append(
            "A translation has the likeliest symbol at each position, given those before it; samples are drawn. "
            f"{same:,} of the {_several(len(rows), 'translation')} {'is' if same == 1 else 'are'} the reference."
        )
    found.table = Table(f"Translations by {found.model}", columns, cells[:MOST_ROWS], notes)
    if len(rows) > MOST_ROWS:
        found.notes.append(f"{MOST_ROWS} of {len(rows):,} translations are shown; the folder has all.")


def _cost(event: Event) -> str:
    """Return the bits of the likeliest translation of an event."""
    return NONE if event.translation is None else f"{event.translation.bits_per_element:.2f}"


_COSTS: Mapping[str, Callable[[Event], str]] = {"translation": _cost, "sample": _bits}
"""Texts that a model gives, and what says how likely they are."""


def _shortened(text: str) -> str:
    return _cut(on_one_line(text), MOST_IN_CELL)

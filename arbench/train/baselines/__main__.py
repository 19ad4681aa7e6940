"""Scores the held-out part of the data that ships with every baseline: ``python -m arbench.train.baselines``.

The data is divided as for training. With ``--out FILE`` each figure is written as a line of JSON too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from arbench.border.printable import to_json
from arbench.border.whole import write_text
from arbench.data import mu_law_encode, voices
from arbench.data.audio import RATE
from arbench.models.events.audio import AudioSource
from arbench.models.events.images import ImageSource
from arbench.models.events.text import TextSource
from arbench.train.baselines.compressor import added_bits
from arbench.train.baselines.histograms import independent
from arbench.train.baselines.linear_prediction import ORDER, STILL, fitted, recursive
from arbench.train.baselines.witten_bell import witten_bell


class Speech(AudioSource):
    """The recordings that ship."""

    rate_hz = float(RATE)


class Text(TextSource):
    """The text that ships, all 256 bytes apart."""

    levels = 256


@dataclass(frozen=True)
class Row:
    """Bits per element of a held-out part by a baseline; of all parts together where ``part`` is "all"."""

    data: str
    part: str
    baseline: str
    bits: float
    elements: int
    element: str
    settings: dict[str, float] = field(default_factory=dict)


def rows() -> Iterator[Row]:
    """Yield the figures of each kind of data in turn."""
    yield from digits()
    yield from text()
    yield from speech()


def digits() -> Iterator[Row]:
    """Yield the figures of the digits."""
    train, held_out = ImageSource().divide()
    before, after = (np.stack(part.pictures) for part in (train, held_out))

    def row(baseline: str, bits: float) -> Row:
        return Row("digits", "all", baseline, bits / after.size, after.size, ImageSource.element)

    yield row("independent pixels", float(independent(before, after, train.levels).sum()))
    for name, bits in added_bits(as_bytes(before), as_bytes(after)).items():
        yield row(name, bits)


def text() -> Iterator[Row]:
    """Yield the figures of the text."""
    train, held_out = Text().divide()

    def row(baseline: str, bits: float) -> Row:
        return Row("text", "all", baseline, bits / len(held_out), len(held_out), Text.element)

    yield row("Witten-Bell 5-gram", float(witten_bell(train, held_out).sum()))
    yield row("Witten-Bell 5-gram, adaptive", float(witten_bell(train, held_out, adaptive=True).sum()))
    for name, bits in added_bits(as_bytes(train), as_bytes(held_out)).items():
        yield row(name, bits)


def speech() -> Iterator[Row]:
    """Yield the figures of each recording, 8-bit mu-law, and of all."""
    found: list[Row] = []
    for voice, *parts in zip(voices(), *Speech().divide(), strict=True):
        found += recording(voice, *(mu_law_encode(one.samples) for one in parts))
    yield from found
    for baseline in dict.fromkeys(one.baseline for one in found):
        same = [one for one in found if one.baseline == baseline]
        elements = sum(one.elements for one in same)
        bits = sum(one.bits * one.elements for one in same)
        yield Row("speech", "all", baseline, bits / elements, elements, Speech.element)


def recording(voice: str, train: NDArray[np.int64], held_out: NDArray[np.int64]) -> Iterator[Row]:
    """Yield the figures of a recording."""

    def row(baseline: str, bits: float, **settings: float) -> Row:
        return Row("speech", voice, baseline, bits / len(held_out), len(held_out), Speech.element, settings)

    yield row("histogram", float(independent(train[:, None], held_out[:, None], 256).sum()))
    for name, coded in (
        (f"order {ORDER} fitted, scale fixed", fitted(train, held_out, decays=(STILL,))),
        (f"order {ORDER} fitted, scale adaptive", fitted(train, held_out)),
        (f"order {ORDER} recursive, scale adaptive", recursive(train, held_out)),
    ):
        yield row(name, float(coded.bits.sum()), **coded.settings)
    for name, bits in added_bits(as_bytes(train), as_bytes(held_out)).items():
        yield row(name, bits)


def as_bytes(symbols: NDArray[np.integer]) -> bytes:
    """Return symbols 0 to 255 as one byte each."""
    return symbols.astype(np.uint8).tobytes()


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File of JSON lines to write.")
def main(out: Path | None) -> None:
    """Print each figure as soon as it is known, and write them all."""
    found = []
    for row in rows():
        found.append(row)
        click.echo(f"{row.data:7} {row.part:18} {row.baseline:36} {row.bits:7.3f} bits per {row.element}")
    if out is not None:
        write_text(out, "".join(to_json(asdict(row)).decode() + "\n" for row in found))


if __name__ == "__main__":
    main()

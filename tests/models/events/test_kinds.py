"""Tests of kinds of events: real, reproducible row by row, and paired with their sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from arbench.data import WORDS, DataError, mosaic, mu_law_encode, transcripts, voices
from arbench.models.events.kinds import (
    KINDS,
    DigitFromWord,
    Kind,
    Pixels,
    Speech,
    SpeechFromText,
    Text,
    WordFromDigit,
)

MADE: dict[str, Kind] = {
    "text": Text(levels=256),
    "pixels": Pixels(levels=17, classes=10),
    "audio": Speech(levels=256, classes=5),
    "digit_from_word": DigitFromWord(levels=17, source_levels=256),
    "word_from_digit": WordFromDigit(levels=256, source_levels=17),
    "audio_from_text": SpeechFromText(levels=256, source_levels=256),
}


def spelt(symbols: torch.Tensor) -> str:
    return bytes(symbols[symbols > 0].tolist()).decode()


@pytest.mark.parametrize("name", MADE)
def test_rows_are_the_same_in_any_batch(name: str) -> None:
    kind = MADE[name]
    n = kind.ladder[1]
    x, context = kind.observe(n, [0, 3, 7], seed=2, data=None)
    again, alike = kind.observe(n, [7], seed=2, data=None)
    assert x.shape == (3, n)
    assert x.dtype == torch.long
    assert 0 <= x.min() <= x.max() < kind.levels
    assert torch.equal(again[0], x[2])
    assert set(context) == ({"source"} if kind.reads_source else {kind.label} - {""})
    for key, value in context.items():
        assert value.dtype == torch.long
        assert torch.equal(alike[key][0], value[2])
        assert 0 <= value.min() <= value.max() < (kind.source_levels or kind.classes)


def test_pixels_show_what_the_word_says() -> None:
    x, context = MADE["digit_from_word"].observe(256, range(4), seed=3, data=None)
    for row in range(4):
        label = WORDS.index(spelt(context["source"][row]))
        picture = mosaic(16, 16, seed=3 * 65537 + row, levels=17, label=label)
        assert np.array_equal(x[row].view(16, 16, 1).numpy(), picture)


def test_the_word_says_what_the_pixels_show() -> None:
    x, context = MADE["word_from_digit"].observe(12, range(6), seed=3, data=None)
    for row in range(6):
        label = WORDS.index(spelt(x[row]))
        assert x[row, len(WORDS[label]) :].eq(0).all()
        picture = mosaic(8, 8, seed=3 * 65537 + row, levels=17, label=label)
        assert np.array_equal(context["source"][row].view(8, 8, 1).numpy(), picture)


def test_the_text_is_what_the_voice_says_there() -> None:
    """The clip occurs in one recording, and the window lies near it in that recording's text."""
    n = 400
    x, context = MADE["audio_from_text"].observe(n, range(6), seed=4, data=None)
    assert context["source"].shape == (6, 64)
    for row in range(6):
        window = spelt(context["source"][row])
        (voice,) = [name for name, text in transcripts().items() if window in text]
        codes = mu_law_encode(voices()[voice].samples)
        first = codes[: len(codes) - n + 1] == int(x[row, 0])
        # silence occurs at several places
        begins = [t for t in first.nonzero()[0] if np.array_equal(codes[t : t + n], x[row].numpy())]
        text = transcripts()[voice]
        letters = [(begin + n / 2) / len(codes) * len(text) for begin in begins]
        assert any(-1 <= at - text.index(window) <= 65 for at in letters)


def test_a_longer_clip_has_more_text() -> None:
    _, context = MADE["audio_from_text"].observe(32_000, [0], seed=0, data=None)
    assert context["source"].shape == (1, 96)


def test_every_kind_is_tried_here() -> None:
    assert set(MADE) | {"translation"} == set(KINDS)


@pytest.mark.parametrize(
    ("cls", "config", "message"),
    [
        (Text, dict(levels=4, source_levels=4), "Text has no source"),
        (Text, dict(levels=4, classes=4), "Text has no classes"),
        (DigitFromWord, dict(levels=4), "DigitFromWord needs source_levels"),
        (DigitFromWord, dict(levels=4, source_levels=4, classes=3), "DigitFromWord has no classes"),
        (SpeechFromText, dict(levels=4, source_levels=256, classes=5), "SpeechFromText has no classes"),
    ],
)
def test_what_a_kind_does_not_have(cls: type[Kind], config: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cls(**config)


@pytest.mark.parametrize("name", ["digit_from_word", "word_from_digit", "audio_from_text"])
def test_both_sides_would_be_needed(name: str) -> None:
    with pytest.raises(NotImplementedError, match="pairs of events and sources"):
        KINDS[name].load_data("nowhere", {})


def test_data_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("seven seas")
    data = KINDS["text"].load_data(str(path), {})
    assert spelt(Text(levels=256).observe(10, [0], 0, data)[0][0]) == "seven seas"
    with pytest.raises(DataError, match="too short"):
        Text(levels=256).observe(11, [0], 0, data)
    with pytest.raises(ValueError, match="no square"):
        Pixels(levels=4).check(5)

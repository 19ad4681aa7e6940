"""What one network may generate, by kind: text, pixels, audio, and each of them from another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arbench.data import as_bytes, mosaic, transcripts, word_symbols
from arbench.data.images import DIGIT
from arbench.models.base import Context
from arbench.models.events import audio
from arbench.models.events.images import DIGIT_CLASSES, ImageSource
from arbench.models.events.text import TextSource
from arbench.models.events.translation import TranslationSource

BOTH = "it would need events and what they come from"


class Kind(ABC):
    """Events of ``levels`` symbols, and what they are conditioned on: ``source`` (B, S) of
    ``source_levels`` symbols, a label (B,) of ``classes``, or nothing.

    Args:
        levels: of an element.
        source_levels: of an entry of the source; 0 where there is none.
        classes: of which one conditions the event; 0 for none.
        colours: sub-pixels of a pixel.
        rate_hz: of audio.
    """

    reads_source = False
    label = ""
    """What the label is called in the context; none by default."""
    rate_hz: float | None = None
    ladder: Sequence[int] = (16, 32, 64, 128, 256)
    count_ladder: Sequence[int] = (4, 8, 12, 16, 24)

    def __init__(
        self,
        *,
        levels: int,
        source_levels: int = 0,
        classes: int = 0,
        colours: int = 1,
        rate_hz: float = 16000.0,
    ) -> None:
        if bool(source_levels) != self.reads_source:
            needs = "needs source_levels" if self.reads_source else "has no source"
            raise ValueError(f"{type(self).__name__} {needs}")
        if classes and not self.label:
            raise ValueError(f"{type(self).__name__} has no classes")
        self.levels, self.source_levels, self.classes, self.colours = levels, source_levels, classes, colours

    def check(self, n: int) -> None:  # noqa: B027 - any length will do
        """Raises ValueError where no event has ``n`` elements."""

    @abstractmethod
    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Real events int64 (B, n) and their context, as ``Source.observe``."""

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        raise NotImplementedError(f"{cls.__name__} does not read data from a path: {BOTH}")


class Text(TextSource, Kind):
    """Bytes of text, or its commonest ones."""

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        return self.passages(n, rows, seed, data), {}


class Pixels(ImageSource, Kind):
    """Sub-pixels of square images in order of rows, columns, colours; ``class`` is the digit they show."""

    label = "class"

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        sides = (4, 6, 8, 12, 16)
        self.ladder = [self.colours * side * side for side in sides]
        self.count_ladder = [self.colours * side * side for side in (2, 3, 4, 5, 6)]

    def check(self, n: int) -> None:
        self.side(n)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        images, context = self.pictures(self.side(n), rows, seed, data)
        return images.reshape(len(rows), n), context


class Speech(audio.AudioSource, Kind):
    """Mu-law codes of speech; ``global`` is the voice."""

    label = "global"
    local, hop = 0, 1

    def __init__(self, *, rate_hz: float = 16000.0, **config: Any) -> None:
        super().__init__(**config)
        self.rate_hz = rate_hz

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        clips, context = self.clips(n, rows, seed, data)
        return audio.quantise(clips, self.levels, companded=True), context

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        return audio.load(path, config.get("rate_hz", 16000.0))


class DigitFromWord(Pixels):
    """Pixels of a digit, or of a mosaic of that digit, from the symbols of its word."""

    reads_source = True
    label = ""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.classes = DIGIT_CLASSES  # which pictures are taken by; the model is given the word

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        x, context = super().observe(n, rows, seed, data)
        words = [word_symbols(int(label), levels=self.source_levels) for label in context["class"]]
        return x, {"source": torch.from_numpy(np.stack(words))}

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        raise NotImplementedError(f"{cls.__name__} does not read data from a path: {BOTH}")


class WordFromDigit(Kind):
    """Symbols of a digit's word and the end symbol from there on, from the digit's 64 pixels."""

    reads_source = True
    ladder = (6, 12, 24, 48, 96)
    count_ladder = (3, 6, 9, 12, 15)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        labels = [int(np.random.default_rng([seed, row]).integers(DIGIT_CLASSES)) for row in rows]
        pictures = [
            mosaic(DIGIT, DIGIT, seed=seed * 65537 + row, levels=self.source_levels, label=label).ravel()
            for row, label in zip(rows, labels, strict=True)
        ]
        words = [word_symbols(label, n, self.levels) for label in labels]
        return torch.from_numpy(np.stack(words)), {"source": torch.from_numpy(np.stack(pictures))}


class SpeechFromText(Speech):
    """Mu-law codes of a clip from the text around what is said in it.

    Where in the text a clip lies is reckoned at an even pace; the window of 64 letters, and 16 more a second
    of the clip, is wide enough for that.
    """

    reads_source = True
    label = ""

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        rate = self.rate_hz or 16000.0
        width = 64 + 16 * int(n // rate)
        sources = []
        recordings, texts = audio.spoken(rate), list(transcripts().values())
        for voice, begin in audio.places(n, rows, seed, recordings):
            letters = as_bytes(texts[voice])
            middle = (begin + n / 2) / len(recordings[voice].samples) * len(letters)
            first = min(max(int(middle) - width // 2, 0), max(len(letters) - width, 0))
            window = letters[first : first + width]
            sources.append(np.pad(window, (0, width - len(window))))
        x, _ = super().observe(n, rows, seed, None)
        return x, {"source": torch.from_numpy(np.stack(sources))}

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        raise NotImplementedError(f"{cls.__name__} does not read data from a path: {BOTH}")


class Translation(TranslationSource, Kind):
    """Symbols of a sentence's translation from those of the sentence, both of one alphabet."""

    count_ladder = (4, 6, 8, 12, 16, 24)
    """One more than most: whole passes with a source to attend to have four terms of work."""

    reads_source = True

    def __init__(self, *, levels: int, source_levels: int = 0, **config: Any) -> None:
        super().__init__(levels=levels, source_levels=source_levels, **config)
        if not levels == source_levels > 2:
            both = f"got {levels} and source_levels {source_levels}"
            raise ValueError(f"sentences and translations have one alphabet of 3 levels or more; {both}")

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        return self.sentences(n, rows, seed, data)


KINDS: Mapping[str, type[Kind]] = {
    "text": Text,
    "pixels": Pixels,
    "audio": Speech,
    "digit_from_word": DigitFromWord,
    "word_from_digit": WordFromDigit,
    "audio_from_text": SpeechFromText,
    "translation": Translation,
}

"""Kinds of events that one network can generate: text, pixels, audio, and one of them from another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arbench.border import shown as forms
from arbench.border.shown import Picture, Shown, numbers
from arbench.data import LONGEST_WORD, as_bytes, mosaic, transcripts, word_symbols
from arbench.data.images import DIGIT
from arbench.models.base import Context, Piece, labels
from arbench.models.events import audio
from arbench.models.events.images import DIGIT_CLASSES, ImageSource
from arbench.models.events.text import TextSource
from arbench.models.events.translation import TranslationSource

BOTH = "it would need pairs of events and sources"
"""Reason why kinds with a source read no data of the user's."""


class Kind(ABC):
    """Events of ``levels`` symbols and their conditioning.

    The conditioning is ``source`` (B, S) of ``source_levels`` symbols, a label (B,) of ``classes``, or empty.

    Args:
        levels: values of an element.
        source_levels: values of an entry of the source; 0 if there is none.
        classes: classes of the label; 0 for no label.
        colours: sub-pixels of a pixel.
        rate_hz: sampling rate of audio.

    Raises:
        ValueError: the kind has no such source or label, or needs one.
    """

    reads_source = False
    label = ""
    """Name of the label in the context; empty for none."""
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

    def check(self, n: int) -> None:  # noqa: B027 - any length is valid by default
        """Raise ValueError if no event has ``n`` elements."""

    @abstractmethod
    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return real events, int64 (B, n), and their context, as ``Source.observe`` does."""

    def longest(self, data: Any = None) -> int | None:
        """Return the number of elements of the longest event in the data; None, the default, where it has no end."""
        return None

    def divide(self, data: Any = None, share: float | None = None) -> tuple[Any, Any]:
        """Divide the data as ``Source.divide`` does; by default a kind does not."""
        raise NotImplementedError(f"{type(self).__name__} does not divide its data: {BOTH}")

    def pieces(self, data: Any, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield pieces of the data as ``Source.pieces`` does; by default a kind does not."""
        raise NotImplementedError(f"{type(self).__name__} does not divide its data: {BOTH}")

    def continued(self, before: Any, data: Any, count: int) -> tuple[Any, Sequence[int]]:
        """Return a part after the end of the one before it, as ``Source.continued`` does; by default the part alone."""
        return data, ()

    @property
    def unit(self) -> str:
        """Unit of quality, as ``Source.unit``."""
        return f"bits per {getattr(self, 'element', 'token')}"

    def counted(self, x: Tensor) -> Tensor | None:
        """Return which elements are no padding, as ``Source.counted`` does; None, the default, for all."""
        return None

    def natural(self, data: Any = None) -> int:
        """Return the number of elements of an event to look at or to listen to."""
        return max(self.ladder)

    def shown(self, x: Tensor) -> Sequence[Shown]:
        """Return events as pictures, sounds or texts, as ``Source.shown`` does; by default the numbers of symbols."""
        return [numbers(row) for row in x.tolist()]

    def told(self, context: Context) -> Mapping[str, Sequence[Shown | int]]:
        """Return what people can read or see of the conditioning, as ``Source.told`` does."""
        return labels(context)

    def amplitudes(self, x: Tensor) -> Tensor:
        """Return the audio, float32 amplitudes in [-1, 1], of elements (B, M); by default the elements themselves."""
        return x

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's own data; by default a kind reads none."""
        raise NotImplementedError(f"{cls.__name__} does not read data from a path: {BOTH}")


class Text(TextSource, Kind):
    """Bytes of text, or the commonest of them."""

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return passages of text; there is no context."""
        return self.passages(n, rows, seed, data), {}


class Pixels(ImageSource, Kind):
    """Sub-pixels of square images in order of rows, columns, colours; ``class`` is the digit shown."""

    label = "class"

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        sides = (4, 6, 8, 12, 16)
        self.ladder = [self.colours * side * side for side in sides]
        self.count_ladder = [self.colours * side * side for side in (2, 3, 4, 5, 6)]

    def check(self, n: int) -> None:
        """Raise ValueError if no square image has ``n`` sub-pixels."""
        self.side(n)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return real images as sub-pixels, and their class if there is one."""
        images, context = self.pictures(self.side(n), rows, seed, data)
        return images.reshape(len(rows), n), context


class Speech(audio.AudioSource, Kind):
    """Mu-law codes of speech; ``global`` is the voice."""

    label = "global"
    local, hop = 0, 1
    companded = True

    def __init__(self, *, rate_hz: float = 16000.0, **config: Any) -> None:
        super().__init__(**config)
        self.rate_hz = rate_hz

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return clips of speech as mu-law codes, and their voice if there is a label."""
        clips, context = self.clips(n, rows, seed, data)
        return audio.quantise(clips, self.levels, companded=True), context

    def amplitudes(self, x: Tensor) -> Tensor:
        """Return the amplitudes of mu-law codes."""
        return audio.amplitudes(x, self.levels, companded=True)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's recording at the configured rate."""
        return audio.load(path, config.get("rate_hz", 16000.0))


class DigitFromWord(Pixels):
    """Pixels of a digit, or of a mosaic of that digit, from the symbols of its word."""

    reads_source = True
    label = ""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.classes = DIGIT_CLASSES  # selects the pictures; the model itself reads the word

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return real images as sub-pixels, with the symbols of their digit's word as the source."""
        x, context = super().observe(n, rows, seed, data)
        words = [word_symbols(int(label), levels=self.source_levels) for label in context["class"]]
        return x, {"source": torch.from_numpy(np.stack(words))}

    def told(self, context: Context) -> dict[str, Sequence[Shown | int]]:
        """Return the word."""
        return {"source": _ended(context["source"], self.source_levels)}

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Refuse the user's data: they have no source."""
        raise NotImplementedError(f"{cls.__name__} does not read data from a path: {BOTH}")


class WordFromDigit(Kind):
    """Symbols of a digit's word, padded with the end symbol, from the digit's 64 pixels."""

    reads_source = True
    ladder = (6, 12, 24, 48, 96)
    count_ladder = (3, 6, 9, 12, 15)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return words as symbols, with a picture of their digit as the source."""
        labels = [int(np.random.default_rng([seed, row]).integers(DIGIT_CLASSES)) for row in rows]
        pictures = [
            mosaic(DIGIT, DIGIT, seed=seed * 65537 + row, levels=self.source_levels, label=label).ravel()
            for row, label in zip(rows, labels, strict=True)
        ]
        words = [word_symbols(label, n, self.levels) for label in labels]
        return torch.from_numpy(np.stack(words)), {"source": torch.from_numpy(np.stack(pictures))}

    def natural(self, data: Any = None) -> int:
        """Return the number of symbols of the longest word, with its end."""
        return LONGEST_WORD + 1

    def shown(self, x: Tensor) -> list[forms.Text]:
        """Return words up to their first end."""
        return _ended(x, self.levels)

    def told(self, context: Context) -> dict[str, Sequence[Shown | int]]:
        """Return the picture."""
        pixels = context["source"].cpu().view(-1, DIGIT, DIGIT, 1).numpy()
        return {"source": [Picture(one, self.source_levels) for one in pixels]}


class SpeechFromText(Speech):
    """Mu-law codes of a clip from the text that is spoken around it.

    The clip's place in the text is estimated at an even pace of speech; a window of 64 letters, plus 16 per
    second of the clip, is wide enough for that.
    """

    reads_source = True
    label = ""

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return clips of speech as mu-law codes, with the text around them as the source."""
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

    def told(self, context: Context) -> dict[str, Sequence[Shown | int]]:
        """Return the text that is spoken around the clip."""
        return {"source": _ended(context["source"], self.source_levels)}

    def divide(self, data: Any = None, share: float | None = None) -> Any:
        """Refuse: the text of a part of a recording is not known."""
        raise NotImplementedError(f"{type(self).__name__} does not divide its data: {BOTH}")

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Refuse the user's data: they have no source."""
        raise NotImplementedError(f"{cls.__name__} does not read data from a path: {BOTH}")


class Translation(TranslationSource, Kind):
    """Symbols of a sentence's translation from those of the sentence, both in one alphabet."""

    count_ladder = (4, 6, 8, 12, 16, 24)
    """Six sizes, one more than most kinds: the work of a pass with cross-attention has four terms."""

    reads_source = True

    def __init__(self, *, levels: int, source_levels: int = 0, **config: Any) -> None:
        super().__init__(levels=levels, source_levels=source_levels, **config)
        if not levels == source_levels > 2:
            both = f"got {levels} and source_levels {source_levels}"
            raise ValueError(f"sentences and translations have one alphabet of 3 levels or more; {both}")

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
        """Return real translations, with the sentences that they translate as the source."""
        return self.sentences(n, rows, seed, data)


def _ended(symbols: Tensor, levels: int) -> list[forms.Text]:
    """Return each row of symbols (B, S) before its first end as text."""
    return [forms.read(takewhile(bool, row), levels) for row in symbols.tolist()]


KINDS: Mapping[str, type[Kind]] = {
    "text": Text,
    "pixels": Pixels,
    "audio": Speech,
    "digit_from_word": DigitFromWord,
    "word_from_digit": WordFromDigit,
    "audio_from_text": SpeechFromText,
    "translation": Translation,
}
"""Kinds by name."""

"""Shared parts of audio models: clips of real speech, their conditioning and quantisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.border.shown import Sound, sounds
from arbench.data import Audio, DataError, load_audio, log_mel, mu_law_decode, mu_law_encode, voices
from arbench.data.optional.named import named
from arbench.models.base import Context, Piece
from arbench.models.events.windows import windows

MEL_CENTRE, MEL_SCALE = -6.0, 3.0
"""Centre of speech's log-mel magnitudes, and half of the range that they fall into."""


@lru_cache(maxsize=4)
def spoken(rate: float) -> list[Audio]:
    """Return the speech that ships, one recording per voice, resampled to ``rate`` Hz if necessary."""
    recordings = list(voices().values())
    if rate == recordings[0].rate:
        return recordings
    from scipy.signal import resample_poly

    ratio = Fraction(int(rate), recordings[0].rate)
    return [
        Audio(np.clip(resample_poly(a.samples, ratio.numerator, ratio.denominator), -1, 1), int(rate))
        for a in recordings
    ]


def load(path: str, rate: float) -> list[Audio]:
    """Read the user's own recording for ``AudioSource.clips``.

    Raises:
        arbench.data.DataError: the file is not a readable recording of that rate; or the name is that of other data.
    """
    named(path, "audio")
    return [load_audio(path, rate=int(rate))]


def quantise(clips: Tensor, levels: int, *, companded: bool) -> Tensor:
    """Convert amplitudes in [-1, 1] to levels 0 .. levels-1 (int64), mu-law companded or linear."""
    if companded:
        return torch.from_numpy(mu_law_encode(clips.numpy(), levels))
    return ((clips.double() + 1) * ((levels - 1) / 2)).round().long()


def amplitudes(x: Tensor, levels: int, *, companded: bool) -> Tensor:
    """Convert levels 0 .. levels-1, mu-law companded or linear, to amplitudes in [-1, 1] (float32), on their device.

    This is the inverse of ``quantise``, up to its rounding.
    """
    if companded:
        return _decoded(levels).to(x.device)[x]
    return (x.double() * (2 / (levels - 1)) - 1).float()


@lru_cache(maxsize=4)
def _decoded(levels: int) -> Tensor:
    """Return the amplitude of each mu-law class."""
    return torch.from_numpy(mu_law_decode(np.arange(levels), levels))


def places(n: int, rows: Sequence[int], seed: int, recordings: Sequence[Audio]) -> list[tuple[int, int]]:
    """Choose a clip of ``n`` samples for each row: return its recording's index and its first sample.

    Raises:
        DataError: no recording is as long as ``n`` samples.
    """
    fitting = [i for i, a in enumerate(recordings) if len(a.samples) >= n]
    if not fitting:
        longest = max(len(a.samples) for a in recordings)
        raise DataError(Path("the audio"), f"too short: {longest} samples; an event needs {n}; choose a smaller --n")
    found = []
    for row in rows:
        rng = np.random.default_rng([seed, row])
        voice = fitting[int(rng.integers(len(fitting)))]
        found.append((voice, int(rng.integers(len(recordings[voice].samples) - n + 1))))
    return found


HELD_OUT = 0.15
"""Fraction at the end of each recording that is held out."""
CELL = 2.0**-15
"""Width of a level of 16 bits, in amplitude."""


class AudioSource:
    """Mixin of ``Source`` for audio: an element is an audio sample at ``rate_hz``."""

    element: ClassVar[str] = "audio sample"
    rate_hz: float | None
    cell: float | None = None
    levels: int = 65536
    companded: bool = False
    local: int
    classes: int
    hop: int

    @property
    def unit(self) -> str:
        """Unit of quality: bits depend on the levels of a sample, and on what is known of the sound beforehand.

        Real samples count as 65,536 levels.
        """
        known = [word for word, given in (("its mel frames", self.local), ("its voice", self.classes)) if given]
        if self.cell is not None:
            what = "16 bits, dequantised"
        else:
            what = f"{self.levels:,} {'mu-law ' if self.companded else ''}levels"
        return f"bits per audio sample of {what}{', given ' if known else ''}{' and '.join(known)}"

    def covers(self, context: Context) -> int | None:
        """Return the number of samples that the frames of local conditioning cover; None without it."""
        return context["local"].shape[-1] * self.hop if self.local else None

    def longest(self, data: Sequence[Audio] | None = None) -> int:
        """Return the number of samples of the longest recording."""
        return max(len(one.samples) for one in (spoken(self.rate_hz or 16000.0) if data is None else data))

    def natural(self, data: Sequence[Audio] | None = None) -> int:
        """Return the number of samples of a second, or of the longest recording where that is shorter."""
        return min(round(self.rate_hz or 16000.0), self.longest(data))

    def shown(self, x: Tensor) -> list[Sound]:
        """Return audio as sound."""
        return sounds(self.amplitudes(x).float().cpu().numpy(), self.rate_hz or 16000.0)

    def amplitudes(self, x: Tensor) -> Tensor:
        """Return the amplitudes (B, M) of real elements; those that a draw puts beyond [-1, 1] are clipped."""
        return x.float().clamp(-1, 1)

    def divide(
        self, data: Sequence[Audio] | None = None, share: float | None = None
    ) -> tuple[list[Audio], list[Audio]]:
        """Hold out the end of each recording."""
        recordings = spoken(self.rate_hz or 16000.0) if data is None else data
        sides: tuple[list[Audio], list[Audio]] = ([], [])
        for one in recordings:
            at = int(len(one.samples) * (1 - (HELD_OUT if share is None else share)))
            if not 0 < at < len(one.samples):
                raise DataError(Path("the audio"), f"too short to divide: {len(one.samples)} samples")
            sides[0].append(Audio(one.samples[:at], one.rate))
            sides[1].append(Audio(one.samples[at:], one.rate))
        return sides

    def pieces(self, data: Sequence[Audio], n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield windows of each recording; a piece keeps the number of its recording, which is the voice."""
        for voice, one in enumerate(data):
            others = [Audio(one.samples[:0], one.rate)] * voice
            for begin, end, first in windows(len(one.samples), n, prefix):
                yield Piece([*others, Audio(one.samples[begin:end], one.rate)], end - begin, first, voice)

    def continued(
        self, before: Sequence[Audio], data: Sequence[Audio], count: int
    ) -> tuple[list[Audio], Sequence[int]]:
        """Return each recording after the last ``count`` samples of the one before it, and how many these are."""
        ends = [one.samples[max(len(one.samples) - count, 0) :] for one in before]
        both = zip(ends, data, strict=True)
        joined = [Audio(np.concatenate([end, one.samples]), one.rate) for end, one in both]
        return joined, [len(end) for end in ends]

    def clips(self, n: int, rows: Sequence[int], seed: int, data: list[Audio] | None) -> tuple[Tensor, Context]:
        """Return clips of real audio, float32 (B, n), and the model's conditioning.

        Entry ``local`` is the clip's standardised log-mel spectrogram (B, C, ceil(n / hop)), ``global`` the
        voice's index (B,).

        Raises:
            DataError: no recording is as long as ``n`` samples.
        """
        rate = self.rate_hz or 16000.0
        recordings = spoken(rate) if data is None else data
        clips, mels, chosen = [], [], []
        for voice, begin in places(n, rows, seed, recordings):
            clip = recordings[voice].samples[begin : begin + n]
            clips.append(clip)
            chosen.append(voice)
            if self.local:
                mels.append(log_mel(clip, int(rate), self.local, self.hop))
        context: dict[str, Tensor] = {}
        if self.local:
            context["local"] = (torch.from_numpy(np.stack(mels)) - MEL_CENTRE) / MEL_SCALE
        if self.classes:
            context["global"] = torch.tensor(chosen) % self.classes
        return torch.from_numpy(np.stack(clips)), context

"""Sounds compared with real ones by measure: level and long-term spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from arbench.border.shown import Shown, Sound
from arbench.data.mel import log_mel

BANDS = 80
"""Bands of a spectrum, from 0 Hz to half the rate."""
WINDOW_S = 0.064
"""Length of a frame of a spectrum, to the nearest power of two samples."""
RANGE_DB = 60.0
"""Range of a spectrum below its loudest band; quieter bands count as being at its end."""


@dataclass(frozen=True)
class Heard:
    """A sound beside the real one with the same conditioning, by measure.

    Attributes:
        level_db: level in dBFS: of the root mean square, where the amplitude 1 is 0 dBFS; None for silence.
        real_level_db: level of the real sound.
        spectrum_db: distance in dB of the sound's long-term spectrum from that of all real ones; None for silence.
        real_spectrum_db: distance of the real sound's from that of the other real ones, to compare with; None where
            there is no other.
    """

    level_db: float | None
    real_level_db: float | None
    spectrum_db: float | None
    real_spectrum_db: float | None

    def facts(self) -> dict[str, float | None]:
        """Return the attributes by name."""
        return asdict(self)


def heard(events: Sequence[Shown], real: Sequence[Shown]) -> list[Heard] | None:
    """Compare sounds with real ones; None for events that are no sounds.

    Args:
        events: the sounds.
        real: a real one for each.
    """
    drawn, true = ([one for one in some if isinstance(one, Sound)] for some in (events, real))
    if not drawn or len(drawn) < len(events) or len(true) < len(events):
        return None
    whole, found = spectrum(true), []
    for at, (one, other) in enumerate(zip(drawn, true, strict=True)):
        others = spectrum([*true[:at], *true[at + 1 :]])
        own, theirs = spectrum([one]), spectrum([other])
        found.append(Heard(level(one), level(other), distance(own, whole), distance(theirs, others)))
    return found


def said(found: Sequence[Heard]) -> str:
    """Return means over sounds in words, as ``arbench sample`` prints them."""

    def mean(name: str) -> float | None:
        known = [value for one in found if (value := getattr(one, name)) is not None]
        return fmean(known) if known else None

    own, theirs, far, among = map(mean, ("level_db", "real_level_db", "spectrum_db", "real_spectrum_db"))
    first = "silent" if own is None else f"level {own:.1f} dBFS"
    words = [f"{first}, real {'silent' if theirs is None else f'{theirs:.1f}'}"]
    if far is not None:
        differ = "" if among is None else f", and real ones {among:.1f} dB among themselves"
        words.append(f"long-term spectra differ from real ones by {far:.1f} dB{differ}")
    return "; ".join(words)


def level(sound: Sound) -> float | None:
    """Return the level of a sound in dBFS, of its root mean square; None for silence."""
    power = float(np.square(sound.samples, dtype=np.float64).mean())
    return 10 * float(np.log10(power)) if power > 0 else None


def spectrum(sounds: Sequence[Sound]) -> NDArray[np.float64] | None:
    """Return the long-term spectrum (BANDS,) of sounds of one rate: the mean power of all frames in mel bands, in dB.

    None where all is silent, or nothing is given.
    """
    if not any(sound.samples.any() for sound in sounds):
        return None
    rate = round(sounds[0].rate)
    window = 2 ** max(round(np.log2(WINDOW_S * rate)), 4)
    frames = [log_mel(sound.samples, rate, BANDS, window // 4, window).astype(np.float64) for sound in sounds]
    power = np.exp(2 * np.concatenate(frames, 1)).mean(1)
    return np.asarray(10 * np.log10(np.maximum(power, power.max() * 10 ** (-RANGE_DB / 10))))


def distance(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> float | None:
    """Return the mean absolute difference in dB of two spectra over bands, both brought to one mean level."""
    if one is None or other is None:
        return None
    apart = one - other
    return float(np.abs(apart - apart.mean()).mean())

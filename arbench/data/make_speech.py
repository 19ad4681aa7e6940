"""Builds the shipped speech: ``python -m arbench.data.make_speech [FOLDER]``.

Each paragraph of ``speech.txt`` is read by its own voice of ``espeak-ng`` (which must be on the PATH), resampled to
16 kHz and written to one FLAC file per voice. The same espeak-ng gives the same samples; ``ORIGIN.md`` names the
version that was used for the files in the repository.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

HERE = Path(__file__).parent
RATE = 16_000
PEAK = 0.9
"""Largest magnitude of each clip, so that all voices are about equally loud."""


@dataclass(frozen=True)
class Voice:
    """A reader: an espeak-ng voice with its variant, words per minute, and pitch (0 to 99)."""

    name: str
    espeak: str
    speed: int
    pitch: int


VOICES = (
    Voice("1-british-woman", "en-gb+f2", speed=172, pitch=58),
    Voice("2-american-man", "en-us+m3", speed=178, pitch=38),
    Voice("3-scottish-man", "en-gb-scotland+m7", speed=160, pitch=50),
    Voice("4-american-woman", "en-us+f4", speed=182, pitch=66),
    Voice("5-old-british-man", "en-gb-x-rp+m1", speed=150, pitch=25),
)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of ``text``, which are separated by blank lines."""
    return [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]


def resample(samples: NDArray[np.float64], rate: int, to: int) -> NDArray[np.float64]:
    """Return ``samples`` (T,) at ``rate`` Hz, resampled to ``to`` Hz: (ceil(T * to / rate),).

    The polyphase filter has a Kaiser window of 80 dB, and its transition lies below the Nyquist frequency of the lower
    rate.
    """
    divisor = gcd(rate, to)
    up, down = to // divisor, rate // divisor
    nyquist = 1 / max(up, down)  # of the lower rate, as a fraction of that of the interpolated signal
    taps, beta = signal.kaiserord(80.0, 0.1 * nyquist)
    filter_ = signal.firwin(taps | 1, 0.95 * nyquist, window=("kaiser", beta))
    return np.asarray(signal.resample_poly(samples, up, down, window=filter_), dtype=np.float64)


def speak(text: str, voice: Voice) -> NDArray[np.int16]:
    """Return ``text`` read by ``voice``: 16-bit samples (T,) at 16 kHz.

    Raises:
        OSError: espeak-ng is not on the PATH.
        subprocess.CalledProcessError: espeak-ng does not have the voice.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = ["espeak-ng", "-v", voice.espeak, "-s", str(voice.speed), "-p", str(voice.pitch)]
        subprocess.run([*command, "-w", str(wav), "--stdin"], input=text, text=True, check=True)
        samples, rate = soundfile.read(wav, dtype="float64")
    samples = resample(samples, rate, RATE)
    return np.round(samples * (PEAK * 32767 / np.abs(samples).max())).astype(np.int16)


def main(folder: Path = HERE) -> None:
    """Write ``speech-<voice>.flac`` into ``folder`` for every voice."""
    texts = paragraphs((HERE / "speech.txt").read_text(encoding="utf-8"))
    for voice, text in zip(VOICES, texts, strict=True):
        path = folder / f"speech-{voice.name}.flac"
        samples = speak(text, voice)
        soundfile.write(path, samples, RATE, subtype="PCM_16")
        print(f"{path}: {len(samples) / RATE:.1f} s, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))

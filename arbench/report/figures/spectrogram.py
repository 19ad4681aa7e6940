"""Small pictures of sounds."""

from __future__ import annotations

import io

import numpy as np

from arbench.border.shown import Sound

WINDOW_S = 0.016
"""Length of a frame: short enough to show the single pulses of a low voice, long enough for its formants."""
RANGE_DB = 70.0
"""Range of levels below the loudest spot; quieter ones are white."""
WIDE, HIGH = 320, 64


def spectrogram(sound: Sound) -> bytes:
    """Return the spectrogram of a sound as a grey PNG: time to the right, frequencies up to half the rate upwards.

    Louder is darker, on a scale that begins at the loudest spot; silence is white.
    """
    from PIL import Image

    window = 2 ** max(round(np.log2(WINDOW_S * sound.rate)), 4)
    x = np.pad(sound.samples.astype(np.float64), (0, max(window - len(sound.samples), 0)))
    starts = np.unique(np.linspace(0, len(x) - window, WIDE).astype(int))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[starts]
    power = np.abs(np.fft.rfft(frames * hann))[:, 1:].T[::-1] ** 2
    loudest = power.max()
    below = 10 * np.log10(np.maximum(power, 1e-30) / loudest) if loudest > 0 else np.full(power.shape, -RANGE_DB)
    grey = np.clip(-below / RANGE_DB, 0, 1) * 255
    file = io.BytesIO()
    image = Image.fromarray(grey.astype(np.uint8)).resize((WIDE, HIGH), Image.Resampling.BILINEAR)
    image.quantize(16, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()

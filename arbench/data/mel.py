"""Log-mel spectrograms, the conditioning of a vocoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOOR = 1e-5
"""Smallest magnitude before the logarithm."""


def log_mel(samples: ArrayLike, rate: int, n_mels: int = 80, hop: int = 256, window: int = 1024) -> NDArray[np.float32]:
    """Return the natural logarithm of the magnitude spectrogram on the mel scale.

    Frame t describes samples t * hop to (t + 1) * hop - 1: its periodic Hann window of ``window`` samples is centred on
    their middle (and so covers later samples too), with zeros beyond both ends.

    Args:
        samples: (T,) within [-1, 1], T at least 1.
        rate: sampling rate in Hz.
        n_mels: number of bands from 0 Hz to rate / 2.
        hop: samples from one frame to the next.
        window: samples per frame, at least ``hop``.

    Returns:
        The spectrogram, (n_mels, ceil(T / hop)).

    Raises:
        ValueError: a size out of range.
    """
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"samples must be (T,) with T at least 1, got shape {x.shape}")
    if not 1 <= hop <= window:
        raise ValueError(f"hop must lie in 1..window, got {hop} with window {window}")
    frames = -(-x.size // hop)
    before = (window - hop) // 2
    x = np.pad(x, (before, window - hop - before + frames * hop - x.size))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    cut = np.lib.stride_tricks.sliding_window_view(x, window)[::hop]
    magnitude = np.abs(np.fft.rfft(cut * hann))
    mel = magnitude @ mel_bands(rate, n_mels, window).T
    return np.log(np.maximum(mel, FLOOR)).T.astype(np.float32)


def mel_bands(rate: int, n_mels: int, window: int) -> NDArray[np.float64]:
    """Return triangular bands (n_mels, window // 2 + 1) of unit area, equally spaced in Slaney's mels.

    As in Slaney, "Auditory Toolbox" (1998), and by default in librosa, a triangle is scaled by 2 / (its width in Hz),
    so that white noise has about the same level in every band.

    Raises:
        ValueError: fewer than one band, or a rate below 1 Hz.
    """
    if n_mels < 1 or rate < 1:
        raise ValueError(f"n_mels and rate must be at least 1, got {n_mels} and {rate}")
    bins = np.fft.rfftfreq(window, 1 / rate)
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(rate / 2), n_mels + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low))


# Slaney's scale: 200/3 Hz per mel up to 1 kHz, then 27 mels from there to 6.4 kHz.
_LINEAR = 200 / 3
_KNEE_HZ = 1000.0
_KNEE = _KNEE_HZ / _LINEAR
_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _LINEAR
    return float(_KNEE + np.log(hz / _KNEE_HZ) / _STEP)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_HZ * np.exp(_STEP * (np.maximum(mel, _KNEE) - _KNEE))
    return np.where(mel < _KNEE, mel * _LINEAR, above)

"""Mu-law companding: audio samples as a few hundred classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mu_law_encode(samples: ArrayLike, levels: int = 256) -> NDArray[np.int64]:
    """Return samples companded and rounded to the nearest of ``levels`` classes.

    With mu = levels - 1 and f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), the continuous form of
    ITU-T G.711 (van den Oord et al. 2016, "WaveNet", section 2.2), the class is
    floor((f(x) + 1) / 2 * mu + 1/2).

    Args:
        samples: any shape; values outside [-1, 1] are clipped.
        levels: number of classes, at least 2.

    Returns:
        Classes 0 to levels - 1, with the shape of ``samples``.

    Raises:
        ValueError: fewer than two levels, or a sample that is not a number.
    """
    mu = _mu(levels)
    x = np.clip(np.asarray(samples, dtype=np.float64), -1.0, 1.0)
    if np.isnan(x).any():
        raise ValueError("samples must be numbers, but one is NaN")
    companded = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    return np.floor((companded + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_decode(classes: ArrayLike, levels: int = 256) -> NDArray[np.float32]:
    """Return the samples in [-1, 1] of ``classes`` (any shape, 0 to levels - 1).

    Raises:
        ValueError: fewer than two levels, or a class out of range.
    """
    mu = _mu(levels)
    codes = np.asarray(classes)
    if codes.size and (codes.min() < 0 or codes.max() > mu):
        raise ValueError(f"classes must lie in 0..{mu}, got {codes.min()}..{codes.max()}")
    companded = 2 * codes.astype(np.float64) / mu - 1
    samples = np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(mu)) / mu
    return samples.astype(np.float32)


def _mu(levels: int) -> int:
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")
    return levels - 1

"""Linear prediction of mu-law audio, with a Laplacian around the prediction.

The predictor reads amplitudes. The probability of a level is the integral of the Laplacian over the amplitudes that
are rounded to it, mixed with ``FLOOR`` of the uniform distribution, so the levels' probabilities sum to 1. Lossless
coders of audio do so (Robinson 1994, "SHORTEN").
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arbench.data import mu_law_decode
from arbench.kernels.core.numba_rows import compiled

ORDER = 32
FLOOR = 1e-3
"""Weight of the uniform distribution over the levels."""
WHITE = 1e-7
"""Variance of the white noise for which coefficients are corrected: full scale less 70 dB."""
FORGETS = (0.98, 0.985, 0.99, 0.995, 0.998)
"""Weights of a squared error relative to the next one's, of which the training part chooses."""
DECAYS = (0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995)
"""Weights of the scale before in the next scale, of which the training part chooses."""
STILL = 1.0
"""The decay of a scale that does not change."""
Floats = NDArray[np.float64]
Levels = NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """Bits of each held-out sample (M,), the settings that the training part chose, and its bits per sample."""

    bits: Floats
    settings: dict[str, float]
    train_bits: float


def edges(levels: int) -> Floats:
    """Return the amplitudes between which each level lies, increasing: (levels + 1,), infinite at both ends."""
    between = mu_law_decode(np.arange(levels - 1) + 0.5, levels)
    return np.concatenate([[-np.inf], between.astype(np.float64), [np.inf]])


def fitted(train: Levels, held_out: Levels, levels: int = 256, decays: tuple[float, ...] = DECAYS) -> Coded:
    """Code with the coefficients of least squares over the training part.

    The scale is the decayed mean of the absolute residuals before; with ``decays=(STILL,)`` it stays at the training
    part's mean.

    Args:
        train: (T,), 0 to levels - 1; more samples than ``ORDER``.
        held_out: the samples that follow it, (M,).
        levels: number of mu-law levels, at least 3.
        decays: decays of the scale, of which the one with the fewest bits over the training part is taken.
    """
    x = _amplitudes(train, held_out, levels)
    before = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.zeros(ORDER), x[:-1]]), ORDER)[:, ::-1]
    seen = before[: len(train)]
    squares = seen.T @ seen + len(train) * WHITE * np.eye(ORDER)
    predictions = before @ np.linalg.solve(squares, seen.T @ x[: len(train)])
    return _best({(): predictions}, (), x, train, held_out, levels, decays)


def recursive(train: Levels, held_out: Levels, levels: int = 256, forgets: tuple[float, ...] = FORGETS) -> Coded:
    """Code with coefficients that recursive least squares adapts at every sample, from the samples before.

    Arguments as for ``fitted``; of ``forgets`` and ``DECAYS`` the pair with the fewest bits over the training part is
    taken.
    """
    x = _amplitudes(train, held_out, levels)
    predictions = {(forget,): recursive_predictions(x, ORDER, forget, WHITE) for forget in forgets}
    return _best(predictions, ("forget",), x, train, held_out, levels, DECAYS)


def _amplitudes(train: Levels, held_out: Levels, levels: int) -> Floats:
    return mu_law_decode(np.concatenate([train, held_out]), levels).astype(np.float64)


def _best(
    predictions: dict[Any, Floats],
    names: tuple[str, ...],
    x: Floats,
    train: Levels,
    held_out: Levels,
    levels: int,
    decays: tuple[float, ...],
) -> Coded:
    seen, borders, chosen = len(train), edges(levels), np.concatenate([train, held_out])
    found = []
    for (setting, predicted), decay in product(predictions.items(), decays):
        scale = float(np.abs(x - predicted)[:seen].mean())
        bits = -np.log2(probabilities(chosen, x, predicted, borders, decay, scale))
        settings = dict(zip((*names, "decay"), (*setting, decay), strict=True))
        found.append(Coded(bits[seen:], settings, float(bits[:seen].mean())))
    return min(found, key=lambda one: one.train_bits)


@compiled()
def level_probability(level, predicted, scale, borders):
    """Return the probability of a level under a Laplacian of mean absolute deviation ``scale``, with the floor."""
    low, high = (borders[level] - predicted) / scale, (borders[level + 1] - predicted) / scale
    if low > 0:
        inside = 0.5 * (np.exp(-low) - np.exp(-high))
    elif high < 0:
        inside = 0.5 * (np.exp(high) - np.exp(low))
    else:
        inside = 1 - 0.5 * (np.exp(low) + np.exp(-high))
    return (1 - FLOOR) * inside + FLOOR / (len(borders) - 1)


@compiled()
def probabilities(chosen, x, predicted, borders, decay, scale):
    """Return the probability of each sample's level, (T,), given the samples before it.

    Args:
        chosen: levels, (T,).
        x: their amplitudes, (T,).
        predicted: prediction of each amplitude from those before it, (T,).
        borders: ``edges``.
        decay: weight of the scale before in the next scale; the rest is the absolute residual's.
        scale: scale of the first sample.
    """
    smallest = (borders[len(borders) // 2 + 1] - borders[len(borders) // 2]) / 8
    found = np.empty(len(x))
    for t in range(len(x)):
        found[t] = level_probability(chosen[t], predicted[t], max(scale, smallest), borders)
        scale = decay * scale + (1 - decay) * abs(x[t] - predicted[t])
    return found


@compiled()
def recursive_predictions(x, order, forget, white):
    """Return the prediction of each amplitude from the ``order`` before it, (T,), by recursive least squares.

    The squared errors so far count ``forget`` to the power of their age. One coefficient a sample is drawn to 0, in
    turn, as white noise of variance ``white`` in the input would draw it: without it the inverse correlation grows
    without bound in silence. (Haykin, "Adaptive Filter Theory", 4th edition, chapter 9.)

    Args:
        x: amplitudes, (T,).
        order: number of coefficients.
        forget: weight of a squared error relative to the next one's.
        white: variance of the noise.
    """
    inverse = np.eye(order) * ((1 - forget) / white)
    weights, before, gain = np.zeros(order), np.zeros(order), np.zeros(order)
    found = np.zeros(len(x))
    for t in range(len(x)):
        denominator = forget
        for i in range(order):
            found[t] += weights[i] * before[i]
            gain[i] = 0
            for j in range(order):
                gain[i] += inverse[i, j] * before[j]
            denominator += gain[i] * before[i]
        _corrected(inverse, weights, gain, (x[t] - found[t]) / denominator, 1 / denominator, forget)
        drawn = t % order
        share = white * order / (1 + white * order * inverse[drawn, drawn])
        for i in range(order):
            gain[i] = inverse[drawn, i]
        _corrected(inverse, weights, gain, -share * weights[drawn], share, 1.0)
        for i in range(order - 1, 0, -1):
            before[i] = before[i - 1]
        before[0] = x[t]
    return found


@compiled()
def _corrected(inverse, weights, gain, step, share, forget):
    """Take account of an equation in place: Sherman and Morrison's formula."""
    for i in range(len(gain)):
        weights[i] += gain[i] * step
        for j in range(i, len(gain)):
            inverse[i, j] = inverse[j, i] = (inverse[i, j] - gain[i] * gain[j] * share) / forget

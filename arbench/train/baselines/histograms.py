"""Histograms: each place has a distribution of its own, and knows nothing of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PSEUDO = 0.5
"""Added to each count: the estimator of Krichevsky and Trofimov (1981)."""


def independent(train: NDArray[np.integer], held_out: NDArray[np.integer], levels: int) -> NDArray[np.float64]:
    """Return the bits of held-out events whose elements are independent, each with a histogram of its own.

    Args:
        train: events (B, ...), 0 to levels - 1.
        held_out: events (C, ...) of the same shape.
        levels: size of the alphabet.

    Returns:
        Bits of each element, (C, ...).
    """
    flat, asked = train.reshape(len(train), -1), held_out.reshape(len(held_out), -1)
    return -np.log2(np.take_along_axis(histograms(flat, levels), asked, axis=0)).reshape(held_out.shape)


def histograms(train: NDArray[np.integer], levels: int) -> NDArray[np.float64]:
    """Return the probability of each level at each place, (levels, N), from events (B, N)."""
    counts = np.stack([(train == level).sum(0) for level in range(levels)])
    return (counts + PSEUDO) / (len(train) + PSEUDO * levels)

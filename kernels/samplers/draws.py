"""One draw from parameters and noise, by each law of an element, in native code.

Each follows ``draw`` of the distribution of that name in ``arbench.distributions``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from arbench.kernels.core.numba_rows import _larger, _number, _ordered, _score

CATEGORICAL, DISCRETISED, MIXTURE, SHIFTED = range(4)
"""Kinds of laws: classes, levels of a mixture of logistics, a mixture of real laws, one location-scale law."""


class Law(NamedTuple):
    """What native code needs to know about a distribution.

    Attributes:
        kind: ``CATEGORICAL``, ``DISCRETISED``, ``MIXTURE`` or ``SHIFTED``.
        levels: number of levels of a finite element.
        components: number of components of a mixture.
        least: value that replaces smaller log-scales.
        most: value that replaces larger log-scales.
    """

    kind: int
    levels: int = 0
    components: int = 1
    least: float = -math.inf
    most: float = math.inf


@njit(error_model="numpy", nogil=True)
def _first_highest(logits, noise, size):
    """Return the first index of the highest sum of logit and noise, where NaN is the highest."""
    number = logits.dtype.type
    infinity, one = number(np.inf), number(1)
    b_x, b_z = logits[:size], noise[:size]
    bits = _ordered(_score(b_x[0], one, b_z[0], infinity))
    for j in range(size):
        bits = _larger(bits, _ordered(_score(b_x[j], one, b_z[j], infinity)))
    best = _number(bits)
    place = np.int32(-size)
    none = np.int32(-size)
    for j in range(size):
        place = _larger(place, np.int32(-j) if _score(b_x[j], one, b_z[j], infinity) == best else none)
    return -place


@njit(error_model="numpy", nogil=True)
def _level(value, levels):
    """Return the level nearest to a number on the scale of levels; 0 for NaN."""
    number = type(value)
    top = number(levels - 1)
    if not value > number(0):
        return number(0)
    return np.rint(value if value < top else top)


@njit(error_model="numpy", nogil=True)
def draw(law, params, noise):
    """Return the element drawn from parameters (P,) and noise (K,), as a floating-point number."""
    number = params.dtype.type
    if law.kind == CATEGORICAL:
        return number(_first_highest(params, noise, law.levels))
    k = law.components
    at = 0 if k == 1 else _first_highest(params, noise, k)
    if law.kind == SHIFTED:
        mean, log_scale, z = params[0], params[1], noise[0]
    else:
        mean, log_scale, z = params[k + at], params[2 * k + at], noise[k]
    low, high = number(law.least), number(law.most)
    log_scale = low if log_scale < low else (high if log_scale > high else log_scale)
    value = mean + math.exp(log_scale) * z
    if law.kind == DISCRETISED:
        return _level((value + number(1)) * number((law.levels - 1) / 2), law.levels)
    return number(value)

"""One draw from parameters and noise, by each law of an element, in native code.

Each follows ``draw`` of the distribution of that name in ``arbench.distributions``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from arbench.kernels.core import numba_rows
from arbench.kernels.core.numba_rows import compiled, first_highest

CATEGORICAL, DISCRETISED, MIXTURE, SHIFTED = range(4)
"""Kinds of laws: classes, levels of a mixture of logistics, a mixture of real laws, one location-scale law."""

HELPERS = numba_rows.sources(numba_rows)
"""See ``numba_rows.sources``."""


class Law(NamedTuple):
    """A distribution, as native code needs to know it.

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


def noise_width(law: Law) -> int:
    """Return the number of noise values per element, K."""
    if law.kind == CATEGORICAL:
        return law.levels
    return 1 if law.kind == SHIFTED else law.components + 1


@njit(error_model="numpy", nogil=True)
def _first_highest(logits, noise, size):
    """Return the first index of the highest sum of logit and noise, where NaN is the highest."""
    return first_highest(logits, noise, logits.dtype.type(1), size)[0]


@njit(error_model="numpy", nogil=True)
def _moved(law, mean, log_scale, z):
    """Return mean + scale z, with the log-scale within the law's bounds."""
    low, high = type(mean)(law.least), type(mean)(law.most)
    log_scale = low if log_scale < low else (high if log_scale > high else log_scale)  # NaN stays
    return mean + math.exp(log_scale) * z


@njit(error_model="numpy", nogil=True)
def _level(value, levels):
    """Return the level nearest to a number in [-1, 1]; 0 for NaN."""
    number = type(value)
    top = number(levels - 1)
    place = (value + number(1)) * number((levels - 1) / 2)
    if not place > number(0):
        return number(0)
    return np.rint(place if place < top else top)


@njit(error_model="numpy", nogil=True)
def draw(law, params, noise):
    """Return the element drawn from parameters (P,) and noise (K,), as a floating-point number."""
    number = params.dtype.type
    if law.kind == CATEGORICAL:
        return number(_first_highest(params, noise, law.levels))
    k = law.components
    at = 0 if k == 1 else _first_highest(params, noise, k)
    if law.kind == SHIFTED:
        return number(_moved(law, params[0], params[1], noise[0]))
    value = number(_moved(law, params[k + at], params[2 * k + at], noise[k]))
    return _level(value, law.levels) if law.kind == DISCRETISED else value


@njit(error_model="numpy", nogil=True)
def _draw_channels(law, params, noise, x):
    """Fill x (3,) with the levels of r, g and b: the mean of g moves with the rounded r, that of b with both."""
    number, k = params.dtype.type, law.components
    at = 0 if k == 1 else _first_highest(params, noise, k)
    for c in range(3):
        mean = params[(1 + c) * k + at]
        for before in range(c):
            position = number(x[before]) * number(2 / (law.levels - 1)) - number(1)
            mean += number(math.tanh(params[(6 + c + before) * k + at])) * position
        x[c] = int(_level(number(_moved(law, mean, params[(4 + c) * k + at], noise[k + c])), law.levels))


@compiled()
def draw_rows(law, params, starts, width, noise, noise_starts, x, begin, end, helpers=HELPERS):
    """Fill rows ``begin`` to ``end`` of levels x (R, 1 or 3) from flat memory in which rows begin at ``starts``.

    Args:
        law: of kind ``DISCRETISED``.
        params: rows of ``width`` parameters; see ``mixture.parameters.width``.
        starts: see above.
        width: see ``params``.
        noise: rows of K + C numbers.
        noise_starts: see above.
        x: int64.
        begin: first row.
        end: row behind the last.
        helpers: part of the signature by which Numba finds cached code.
    """
    channels = x.shape[1]
    for row in range(begin, end):
        b_params = params[starts[row] : starts[row] + width]
        b_noise = noise[noise_starts[row] : noise_starts[row] + law.components + channels]
        if channels == 1:
            x[row, 0] = int(draw(law, b_params, b_noise))
        else:
            _draw_channels(law, b_params, b_noise, x[row])

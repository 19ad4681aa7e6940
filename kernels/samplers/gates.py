"""The gate of a WaveNet layer: tanh(f) sigmoid(g), on vectors."""

from __future__ import annotations

from numba import njit

from arbench.kernels.core import numba_rows
from arbench.kernels.core.numba_rows import compiled, exp

HELPERS = numba_rows.sources(numba_rows)
"""See ``numba_rows.sources``."""


@njit(error_model="numpy", fastmath={"contract"}, nogil=True)
def gate(a, h):
    """Fill h (G,) with tanh(a[:G]) sigmoid(a[G:]); one division serves both.

    tanh(f) is (1 - e) / (1 + e) with e = exp(-2 |f|), and takes the sign of f.
    """
    number, size = a.dtype.type, len(h)
    one, two = number(1), number(2)
    filters, gates = a[:size], a[size : 2 * size]
    for i in range(size):
        f, g = filters[i], gates[i]
        e, s = exp(-two * abs(f)), exp(-abs(g))
        t = (one - e) * (one if g >= 0 else s)
        y = (t if f >= 0 else -t) / ((one + e) * (one + s))
        h[i] = f + g if (f != f) | (g != g) else y  # exp loses a NaN whose lowest bits are not 0


@compiled("contract")
def gate_rows(a, starts, out, begin, end, helpers=HELPERS):
    """Fill rows ``begin`` to ``end`` of ``out`` (R, G) from flat memory in which rows of 2 G begin at ``starts``."""
    width = 2 * out.shape[1]
    for row in range(begin, end):
        gate(a[starts[row] : starts[row] + width], out[row])

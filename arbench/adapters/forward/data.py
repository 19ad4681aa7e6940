"""A user's own events for a module, from a NumPy file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arbench.data.errors import DataError, reason, require_file
from arbench.distributions import Distribution

WANTED = "a NumPy file (.npy) of events (rows, N)"


def read_events(path: str, law: Distribution) -> np.ndarray:
    """Return events (rows, N) from a NumPy file: int64 for a finite law, else float32.

    Raises:
        DataError: the file cannot be read, or holds no events of the law.
    """
    file = Path(path)
    require_file(file, WANTED)
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(file, f"is no readable NumPy file ({reason(error)}); wanted {WANTED}") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or not found.size:
        shape = getattr(found, "shape", "several arrays")
        raise DataError(file, f"has the shape {shape}; wanted {WANTED}")
    if not law.finite:
        if found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            raise DataError(file, f"has {found.dtype} that are no finite numbers; wanted real numbers (rows, N)")
        return found.astype(np.float32)
    levels = int(getattr(law, "levels", 2))
    if found.dtype.kind not in "iu":
        raise DataError(file, f"has {found.dtype}; the law is of symbols, so save integers")
    if int(found.min()) < 0 or int(found.max()) >= levels:
        raise DataError(file, f"has symbols from {found.min()} to {found.max()}; the law has 0 to {levels - 1}")
    return found.astype(np.int64)

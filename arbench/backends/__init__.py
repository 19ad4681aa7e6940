"""Names of the backends: what runs the arithmetic of a kernel, in a call or within a model."""

from __future__ import annotations

import sys
import warnings

BACKENDS = ("eager", "triton", "numba")
"""Backends of a kernel: plain PyTorch, and the two kernel languages."""
COMPILE = "compile"
"""Plain PyTorch under ``torch.compile``; see ``arbench.backends.compiling``."""
MODEL_BACKENDS = (*BACKENDS, COMPILE)
"""Backends of a model."""
RENAMED = {"reference": "eager"}
"""Current names of backends by their old names, which work for one release."""


def current(backend: str) -> str:
    """Return the current name of a backend; warn about an old one by a FutureWarning, which Python shows."""
    if backend not in RENAMED:
        return backend
    name = RENAMED[backend]
    warnings.warn(f"backend '{backend}' is deprecated; use backend='{name}'", FutureWarning, stacklevel=_outside())
    return name


def _outside() -> int:
    """Return the stack level of the nearest caller outside this package, as ``current`` counts it."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "arbench":
        level, frame = level + 1, frame.f_back
    return level

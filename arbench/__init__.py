"""arbench: verified measurements of autoregressive scoring and sampling.

``arbench.measure(...)`` does from Python what ``arbench run`` does from a terminal. A model of your own is a subclass
of ``arbench.models.Source``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    # on demand: it imports torch, which `arbench --help` must not
    if name == "measure":
        from arbench.bench.measure import measure

        return measure
    raise AttributeError(f"module 'arbench' has no attribute {name!r}")

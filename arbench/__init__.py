"""arbench: verified measurements of autoregressive scoring and sampling.

``arbench.measure(...)`` does from Python what ``arbench run`` does from a terminal, and ``arbench.sample(...)`` what
``arbench sample`` does; ``arbench.stream(...)`` draws audio or other events chunk by chunk. All raise
``arbench.PlanError``, with one line, where an argument is wrong. A model of your own is a subclass of
``arbench.models.Source``.
"""

from typing import Any

__all__ = ["PlanError", "__version__", "measure", "sample", "stream"]
_ROOMS = {"distributions", "kernels", "methods", "models", "report", "results", "testing"}
"""Packages for users, shown where they are imported."""


def __getattr__(name: str) -> Any:
    # on demand: it imports torch, which `arbench --help` must not
    if name == "measure":
        from arbench.api import measure

        return measure
    if name == "sample":
        from arbench.api.samples import sample

        return sample
    if name == "stream":
        from arbench.api.streams import stream

        return stream
    if name == "PlanError":
        from arbench.bench.options import PlanError

        return PlanError
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("arbench")
        except PackageNotFoundError:  # sources that are not installed
            return "0+unknown"
    raise AttributeError(f"module 'arbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__") or name in _ROOMS)})

"""arbench: verified measurements of autoregressive scoring and sampling.

``arbench.measure(...)`` does from Python what ``arbench run`` does from a terminal, and ``arbench.sample(...)`` what
``arbench sample`` does; ``arbench.stream(...)`` draws audio or other events chunk by chunk. A model of your own is a
subclass of ``arbench.models.Source``.
"""

from typing import Any

__all__ = ["__version__", "measure", "sample", "stream"]


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
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("arbench")
        except PackageNotFoundError:  # sources that are not installed
            return "0+unknown"
    raise AttributeError(f"module 'arbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

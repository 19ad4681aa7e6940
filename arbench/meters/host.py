"""Reads of a tensor by the host that bypass the dispatcher: ``tolist``, ``numpy``, DLPack.

A dispatch mode does not see them. During a count the methods of ``torch.Tensor`` are replaced by methods that report
the read first. ``numpy`` also shares memory, and later writes through it are invisible, so the shared memory is
compared at the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

_METHODS = ("tolist", "numpy", "__dlpack__")
"""``__array__`` calls ``numpy``."""


class Shared:
    """Memory that was shared with NumPy during a count, with its content at that moment."""

    def __init__(self) -> None:
        self._arrays: list[tuple[Tensor, int, np.ndarray, bytes]] = []

    def add(self, tensor: Tensor, array: np.ndarray) -> None:
        """Remember an array that shares memory with a tensor."""
        if tensor.device.type == "cpu" and array.flags.writeable:
            self._arrays.append((tensor, tensor._version, array, array.tobytes()))

    def written(self) -> bool:
        """Return True if any shared memory changed without a tensor operation."""
        return any(
            tensor._version == version and array.tobytes() != before for tensor, version, array, before in self._arrays
        )


@contextmanager
def reported(report: Callable[[Tensor], None]) -> Iterator[Shared]:
    """Call ``report`` with each tensor whose values the host reads past the dispatcher.

    Reads through raw addresses (``data_ptr``) are not seen.
    """
    shared = Shared()
    own = {name: vars(Tensor).get(name) for name in _METHODS}
    for name in _METHODS:
        setattr(Tensor, name, _reporting(getattr(Tensor, name), report, shared))
    try:
        yield shared
    finally:
        for name, method in own.items():
            if method is None:
                delattr(Tensor, name)
            else:
                setattr(Tensor, name, method)


def _reporting(method: Callable[..., Any], report: Callable[[Tensor], None], shared: Shared) -> Callable[..., Any]:
    @functools.wraps(method)
    def reporting(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        report(tensor)
        result = method(tensor, *args, **kwargs)
        if isinstance(result, np.ndarray):
            shared.add(tensor, result)
        return result

    return reporting

"""Accesses to tensors that bypass the dispatcher: reads by the host, raw addresses, tensors made of foreign memory.

A dispatch mode does not see them. During a count the functions that give such access are replaced by ones that report
it first:

- ``tolist``, ``numpy``, DLPack, ``repr`` and the indices of ``tensor_split`` read values. ``numpy`` also shares memory,
  and later writes through it are invisible, so the shared memory is compared at the end.
- ``data_ptr``, the items of a storage and ``ctypes`` give access to memory itself.
- ``from_numpy``, ``from_dlpack``, ``frombuffer`` and ``from_file`` make tensors of memory that no operation wrote.
- A function that Numba compiled computes without tensors.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.utils.dlpack
from torch import Tensor

from arbench.meters.patch import Patch, patched

_METHODS = ("tolist", "numpy", "__dlpack__")
"""``__array__`` calls ``numpy``."""
_INDEXED = ((Tensor, "__getitem__"), *((owner, name) for owner in (Tensor, torch) for name in ("select", "narrow")))
_RAW_STORAGE = ("data_ptr", "__getitem__", "__setitem__", "fill_", "_share_fd_cpu_", "_share_filename_cpu_")
_FOREIGN = ("from_numpy", "from_dlpack", "frombuffer", "from_file")
_NUMBA = (("numba.core.dispatcher", "Dispatcher"), ("numba.np.ufunc.dufunc", "DUFunc"), ("numba.np.ufunc", "GUFunc"))


class Host:
    """Listener to what the host does with tensors past the dispatcher; this one does nothing."""

    def left(self, how: str) -> None:
        """Hear that several values became available to code whose computations are not seen."""

    def listed(self, floating: bool) -> None:
        """Hear that several values became Python numbers."""

    def looks_up(self, looking: bool) -> None:
        """Hear that a view is about to be made at an index that is read from a tensor, or that it was made."""

    def came(self, tensor: Tensor) -> None:
        """Hear that a tensor was made of Python numbers."""

    def unseen(self, why: str) -> None:
        """Hear that work happened, or may have, that no tensor operation shows."""


class Shared:
    """Memory that was shared with NumPy during a count, with its content at that moment."""

    def __init__(self) -> None:
        self._arrays: list[tuple[Tensor, int, np.ndarray, bytes]] = []

    def add(self, tensor: Tensor, array: np.ndarray) -> None:
        """Remember an array that shares memory with a tensor."""
        if tensor.device.type == "cpu" and array.flags.writeable:
            version = 0 if tensor.is_inference() else tensor._version
            self._arrays.append((tensor, version, array, array.tobytes()))

    def written(self) -> bool:
        """Return True if any shared memory changed without a tensor operation."""
        return any(
            (tensor.is_inference() or tensor._version == version) and array.tobytes() != before
            for tensor, version, array, before in self._arrays
        )


@contextmanager
def reported(report: Callable[[Tensor], None], host: Host | None = None) -> Iterator[Shared]:
    """Report accesses of the host to tensors past the dispatcher.

    Args:
        report: called with each tensor whose values the host reads.
        host: hears of everything else.
    """
    shared, cold, host = Shared(), "numba" not in sys.modules, host or Host()
    with patched(_patches(report, host, shared)):
        yield shared
    if cold and "numba" in sys.modules:
        host.unseen("Numba was loaded, and may have computed without tensor operations")


def _patches(report: Callable[[Tensor], None], host: Host, shared: Shared) -> Iterator[Patch]:
    for name in _METHODS:
        yield Tensor, name, functools.partial(_reading, report, host, shared)
    yield Tensor, "__repr__", functools.partial(_shown, report)
    for owner, name in _INDEXED:
        yield owner, name, functools.partial(_indexed, host)
    for owner in (Tensor, torch):
        yield owner, "tensor_split", functools.partial(_split, report)
    raw = functools.partial(_raw, host)
    yield Tensor, "data_ptr", raw
    yield Tensor, "__cuda_array_interface__", functools.partial(_raw_property, host)
    yield torch.utils.dlpack, "to_dlpack", raw
    for name in _RAW_STORAGE:
        yield torch.UntypedStorage, name, raw
    for name in ("memmove", "memset", "string_at"):
        yield ctypes, name, functools.partial(_addressed, host, name)
    for name in _FOREIGN:
        yield torch, name, functools.partial(_foreign, host)
    yield torch.utils.dlpack, "from_dlpack", functools.partial(_foreign, host)
    for owner, name in ((torch, "tensor"), (torch, "as_tensor"), (torch, "asarray"), (Tensor, "new_tensor")):
        yield owner, name, functools.partial(_coming, host, int(owner is Tensor))
    for module, name in _NUMBA:
        if (kind := getattr(sys.modules.get(module), name, None)) is not None:
            yield kind, "__call__", functools.partial(_native, host)


def _reading(
    report: Callable[[Tensor], None], host: Host, shared: Shared, method: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(method)
    def reading(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        report(tensor)
        result = method(tensor, *args, **kwargs)
        if isinstance(result, np.ndarray):
            shared.add(tensor, result)
        if tensor.numel() > 1:
            if isinstance(result, list):
                host.listed(tensor.is_floating_point())
            else:
                host.left("NumPy" if isinstance(result, np.ndarray) else "DLPack")
        return result

    return reading


def _shown(report: Callable[[Tensor], None], method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def shown(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        report(tensor)
        return method(tensor, *args, **kwargs)

    return shown


def _indexed(host: Host, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def indexed(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        indices = args[0] if args and isinstance(args[0], tuple) else (*args, *kwargs.values())
        if not any(isinstance(one, Tensor) and one.dim() == 0 and one.dtype != torch.bool for one in indices):
            return function(tensor, *args, **kwargs)
        host.looks_up(True)
        try:
            return function(tensor, *args, **kwargs)
        finally:
            host.looks_up(False)

    return indexed


def _split(report: Callable[[Tensor], None], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def split(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        for indices in (*args[:1], kwargs.get("tensor_indices_or_sections")):
            if isinstance(indices, Tensor):
                report(indices)
        return function(tensor, *args, **kwargs)

    return split


def _raw(host: Host, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def raw(*args: Any, **kwargs: Any) -> Any:
        host.unseen(f"the memory of a tensor was accessed past tensor operations ({method.__name__})")
        return method(*args, **kwargs)

    return raw


def _addressed(host: Host, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def addressed(*args: Any) -> Any:
        host.unseen(f"memory was accessed by its address (ctypes.{name})")
        return function(*args)

    return addressed


def _raw_property(host: Host, own: property) -> property:
    def get(tensor: Tensor) -> Any:
        value = own.__get__(tensor)
        host.unseen("the memory of a tensor was accessed past tensor operations (__cuda_array_interface__)")
        return value

    return property(get)


def _foreign(host: Host, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def foreign(*args: Any, **kwargs: Any) -> Any:
        host.unseen(f"torch.{function.__name__} made a tensor of memory that no tensor operation wrote")
        return function(*args, **kwargs)

    return foreign


def _coming(host: Host, position: int, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def coming(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        data = args[position] if position < len(args) else next((kwargs[k] for k in ("data", "obj") if k in kwargs), 0)
        if isinstance(data, np.ndarray) and data.size > 1:
            host.unseen("a tensor was made of a NumPy array, whose values no tensor operation computed")
        elif not isinstance(data, Tensor):
            host.came(made)
        return made

    return coming


def _native(host: Host, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def native(function: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(function, "__name__", "a function")
        host.unseen(f"{name}, compiled by Numba, computed without tensor operations")
        return call(function, *args, **kwargs)

    return native

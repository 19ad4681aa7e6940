"""Memory that a call finds: the tensors within its reach, and digests of what storages hold."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, UntypedStorage

_MOST = 20_000
"""Objects that a walk visits, at most."""
_LEAVES = (str, bytes, int, float, complex, type(None), ModuleType, CodeType)
_LIBRARIES = {"arbench", "torch", "numpy", "numba", "scipy", "triton", "pytest", "hypothesis", *sys.stdlib_module_names}
"""Packages whose globals are not followed."""
_SMALL = 1 << 16
_COLUMNS = 512
_address = torch._C.StorageBase.data_ptr  # type: ignore[attr-defined]  # the method of the class is watched
_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.restype, _view.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_READ = 0x100
_GLANCE = 64
_Glance = ctypes.c_char * _GLANCE
_string_at = ctypes.string_at  # the module's own is watched


def within_reach(*roots: Any, code: bool = True) -> tuple[list[Tensor], list[np.ndarray]]:
    """Return the tensors and the arrays within reach of some objects.

    Args:
        roots: the objects. Their attributes, and the items of containers and caches, are followed.
        code: True to follow functions and classes too: closures, default arguments, and the globals that the code of
            a user names.
    """
    seen: dict[int, Any] = {}
    found: tuple[list[Tensor], list[np.ndarray]] = [], []
    left = list(roots)
    while left and len(seen) < _MOST:
        one = left.pop()
        kind = type(one)  # asking for ``__class__``, as isinstance does, may run foreign code
        if issubclass(kind, _LEAVES) or id(one) in seen:
            continue
        seen[id(one)] = one
        if issubclass(kind, Tensor):
            found[0].append(one)
        elif issubclass(kind, FunctionType | type):
            left += _of_code(one) if code else ()
        elif issubclass(kind, np.ndarray):
            found[1].append(one)
            left.append(one.base)
        else:
            left += gc.get_referents(one)
    return found


def _of_code(one: FunctionType | type) -> Iterator[Any]:
    """Return what a function or a class refers to; globals and attributes only of a user's own."""
    own = (one.__module__ or "").partition(".")[0] not in _LIBRARIES
    if isinstance(one, type):
        yield from (*vars(one).values(), *one.__bases__) if own else ()
        return
    yield from gc.get_referents(*(one.__closure__ or ()))
    yield from (one.__defaults__, one.__kwdefaults__, *vars(one).values())
    if own:
        yield from (one.__globals__[name] for name in _names(one.__code__) if name in one.__globals__)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def storages_of(tensors: Iterable[Tensor]) -> dict[int, UntypedStorage]:
    """Return the storages of strided tensors, by identity."""
    found = {}
    for tensor in tensors:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            continue
        found[id(storage)] = storage
    return found


def overlapping(storages: Iterable[UntypedStorage], arrays: Iterable[np.ndarray] = ()) -> set[int]:
    """Return the identities of storages that share memory with another one, or with an array that can be written."""
    spans = [(_address(one), one.nbytes(), id(one)) for one in storages if one.nbytes() and one.device.type == "cpu"]
    spans += [(one.ctypes.data, one.nbytes, 0) for one in arrays if one.flags.writeable]
    found, reached, last = set(), 0, 0
    for begin, size, key in sorted(spans):
        if begin < reached:
            found |= {key, last}
        if begin + size > reached:
            reached, last = begin + size, key
    return found - {0}


def digest(storage: UntypedStorage) -> tuple[int, int] | None:
    """Return the size of a storage and a checksum of what it holds; None where the host cannot read it."""
    size = storage.nbytes()
    if not size or storage.device.type != "cpu":
        return None
    try:
        memory = _view(_address(storage), size, _READ)
    except RuntimeError:  # a tensor without data, such as a fake one
        return None
    if size <= _SMALL:
        return size, crc32(memory)
    row = 8 * _COLUMNS
    rows = size // row
    sums = np.frombuffer(memory, np.uint64, rows * _COLUMNS).reshape(rows, _COLUMNS).sum(0)
    return size, crc32(memory[rows * row :], crc32(sums))


def glance(storage: UntypedStorage) -> bytes:
    """Return the first and the last bytes of a storage on the host: cheap enough to look at for each operation."""
    size = storage.nbytes()
    try:
        address = _address(storage)
    except RuntimeError:
        return b""
    if size < _GLANCE:
        return _string_at(address, size) if size else b""
    return _Glance.from_address(address).raw + _Glance.from_address(address + size - _GLANCE).raw

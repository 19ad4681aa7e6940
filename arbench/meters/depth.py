"""Depth per region of a storage: the length of the chain of operations that wrote each part of memory.

Depth belongs to memory, not to tensors: two tensors may be views of one storage, and the slots of a buffer may be
written at different depths. A storage written as a whole has one integer. A storage written in parts has an integer
array with an entry per grain (the smallest item size that it was accessed with), which is indexed with the size,
stride and offset of the tensor. So any strided view, ``buffer[:, i]`` as well as ``buffer[..., i]``, affects its own
elements and no others.

A depth here is any integer whose order is that of depths: the counter adds which operation wrote it.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, UntypedStorage

_ENTRY = np.dtype(np.int64)


class _Storage:
    """Depths in one storage; ``entries`` is None while all of it has one depth."""

    __slots__ = ("depth", "entries", "grain", "key")

    def __init__(self, key: weakref.KeyedRef[int, UntypedStorage], depth: int) -> None:
        self.key = key
        self.depth = depth
        self.grain = 0
        self.entries: NDArray[np.int64] | None = None

    def view(self, tensor: Tensor, storage: UntypedStorage) -> NDArray[np.int64]:
        """Return the entries of ``tensor``, writable.

        They have its shape, and one more axis where an element spans several grains; they are flat where the tensor
        is contiguous.
        """
        item = tensor.itemsize
        entries = self.entries
        if entries is None:
            self.grain = item
            entries = np.full(-(-storage.nbytes() // item), self.depth, _ENTRY)
        if item < self.grain:
            entries = np.repeat(entries, self.grain // item)
            self.grain = item
        span = item // self.grain
        needed = -(-storage.nbytes() // self.grain)
        if needed > entries.size:  # the storage was resized
            entries = np.concatenate([entries, np.zeros(needed - entries.size, _ENTRY)])
        self.entries = entries
        if tensor.is_contiguous():
            start = tensor.storage_offset() * span
            return entries[start : start + tensor.numel() * span]
        step = span * _ENTRY.itemsize
        shape = tuple(tensor.size())
        strides = tuple(stride * step for stride in tensor.stride())
        if span > 1:
            shape, strides = (*shape, span), (*strides, _ENTRY.itemsize)
        return np.ndarray(shape, _ENTRY, entries, tensor.storage_offset() * step, strides)


class Regions:
    """The depths of all storages written so far; any other storage has depth 0.

    Storages are distinguished by identity. A weak reference drops the entry of a storage when it is freed, so memory
    allocated again at the same address starts at depth 0.

    Attributes:
        untracked: reason why a tensor could not be followed (sparse and opaque tensors have no storage), or None.
    """

    def __init__(self) -> None:
        self.untracked: str | None = None
        self._storages: dict[int, _Storage] = {}

    def __len__(self) -> int:
        return len(self._storages)

    def __contains__(self, storage: UntypedStorage) -> bool:
        return id(storage) in self._storages

    def storage(self, tensor: Tensor) -> UntypedStorage | None:
        """Return the tensor's storage; if it has none, return None and set ``untracked``."""
        try:
            return tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            self.untracked = f"a {tensor.layout} tensor has no storage to follow"
            return None

    def known(self, tensor: Tensor) -> bool:
        """Return True if anything was written to the tensor's storage."""
        return id(self.storage(tensor)) in self._storages

    def read(self, tensor: Tensor) -> int:
        """Return the largest depth among the tensor's elements; 0 if it has no elements."""
        storage = self.storage(tensor)
        known = self._storages.get(id(storage))
        if known is None or storage is None or not tensor.numel():
            return 0
        if known.entries is None:
            return known.depth
        return int(known.view(tensor, storage).max())

    def write(self, tensor: Tensor, depth: int) -> None:
        """Set the depth of the tensor's elements and of no others."""
        storage = self.storage(tensor)
        if storage is None:
            return
        known = self._known(storage)
        if tensor.nbytes == storage.nbytes() and tensor.is_contiguous():
            known.entries, known.depth = None, depth
        elif tensor.numel() and (known.entries is not None or known.depth != depth):
            known.view(tensor, storage)[...] = depth

    def lift(self, tensor: Tensor, depth: int) -> None:
        """Raise the tensor's elements to at least ``depth``, because some of them were written."""
        storage = self.storage(tensor)
        if storage is None:
            return
        known = self._known(storage)
        if tensor.numel() and (known.entries is not None or known.depth < depth):
            view = known.view(tensor, storage)
            np.maximum(view, depth, out=view)

    def create(self, tensor: Tensor, depth: int) -> None:
        """Set the depth of the whole storage of a tensor that an operation has just created."""
        storage = self.storage(tensor)
        if storage is not None:
            known = self._known(storage)
            known.entries, known.depth = None, depth

    def _known(self, storage: UntypedStorage) -> _Storage:
        key = id(storage)
        known = self._storages.get(key)
        if known is None:
            known = _Storage(weakref.KeyedRef(storage, self._forget, key), 0)
            self._storages[key] = known
        return known

    def _forget(self, reference: weakref.KeyedRef[int, Any]) -> None:
        self._storages.pop(reference.key, None)

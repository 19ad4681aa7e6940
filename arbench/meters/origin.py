"""The origin and the content of memory: whether an operation that was seen made what a call reads.

Every tensor that an operation reads, and every tensor that the call returns, must come from an operation that was seen
or have existed before the call. All memory must still hold what operations left in it when one next touches it: wholly
where it existed before the call or was only allocated or filled with a constant, else at its beginning and end. So work
that dispatches nothing (foreign code, other threads and processes, replayed graphs, writes to an address kept from
earlier) betrays itself by what it leaves behind.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, UntypedStorage

from arbench.meters.reach import digest, glance, overlapping, storages_of, within_reach

UNKNOWN_ORIGIN = "a tensor came from no operation that was seen"
CHANGED = "memory changed without a tensor operation"
ALIASED = "an operation wrote memory that two storages share"
LENT = "a tensor shares its memory with a NumPy array that the call can reach"
_REPEATED = 1 << 20
"""Bytes up to which memory that is written again and again is checked each time."""

_earlier: weakref.WeakValueDictionary[int, UntypedStorage] = weakref.WeakValueDictionary()
"""Storages, by identity, that a search found to be older than an earlier call."""

_Digest = tuple[int, int] | None


class Origin:
    """The tensors that existed before a call.

    Args:
        call: the callable; tensors within its reach existed before it.
        inputs: more tensors that existed before.
    """

    def __init__(self, call: Callable[[], Any], inputs: Iterable[Tensor] = ()) -> None:
        tensors, self._arrays = within_reach(call, *inputs)
        self._before = storages_of(tensors)
        self._everything = False
        self._frozen = not gc.get_freeze_count()
        if self._frozen:
            gc.freeze()  # what was frozen existed before the call

    def close(self) -> None:
        """Give the objects that existed before back to the garbage collector."""
        if self._frozen:
            gc.unfreeze()
            self._frozen = False

    def existed(self, storage: UntypedStorage) -> bool:
        """Return True if a storage existed before the call."""
        key = id(storage)
        if key not in self._before and key not in _earlier and not self._everything:
            self._everything = True
            found = storages_of(self._all_before())
            self._before |= found
            _earlier.update(found)
        return key in self._before or key in _earlier

    def _all_before(self) -> list[Tensor]:
        """Return every tensor that Python held before the call."""
        new = {id(one) for one in gc.get_objects()} if self._frozen else set()
        self.close()
        return [one for one in gc.get_objects() if issubclass(type(one), Tensor) and id(one) not in new]


class Contents(Origin):
    """Memory as it was before a call, and as operations left it."""

    def __init__(self, call: Callable[[], Any], inputs: Iterable[Tensor] = ()) -> None:
        super().__init__(call, inputs)
        self._held: dict[int, _Digest] = {key: digest(one) for key, one in self._before.items()}
        self._aliased = overlapping(self._before.values())
        self._lent = overlapping(self._before.values(), self._arrays) - self._aliased
        self._fresh: dict[int, tuple[weakref.KeyedRef[int, UntypedStorage], _Digest]] = {}
        self._written: set[int] = set()
        self._glances: dict[int, tuple[int, bytes]] = {}

    def touched(self, storage: UntypedStorage) -> str | None:
        """Return why memory that an operation is about to touch may not be what operations left; None if it is."""
        key = id(storage)
        if key in self._lent:
            return LENT
        if key in self._fresh:
            _, held = self._fresh.pop(key)
            if held is not None:
                self._glances[key] = storage.nbytes(), glance(storage)
        elif key in self._written:
            held = self._held[key]
        else:
            seen = self._glances.get(key)
            intact = seen is None or seen[0] != storage.nbytes() or seen[1] == glance(storage)
            return None if intact else CHANGED
        return None if _same(held, digest(storage)) else CHANGED

    def made(self, storage: UntypedStorage) -> None:
        """Remember memory that an operation allocated or filled with a constant."""
        key = id(storage)
        self._glances.pop(key, None)  # of freed memory with the same identity
        self._fresh[key] = weakref.KeyedRef(storage, self._forget, key), digest(storage)

    def forget(self, storage: UntypedStorage) -> None:
        """Forget what freed memory with the same identity as a new storage held."""
        self._glances.pop(id(storage), None)

    def wrote(self, storage: UntypedStorage, on_host: bool) -> str | None:
        """Remember memory after an operation wrote it; return why its depth is unknown from here on."""
        key = id(storage)
        if key in self._held:
            small = storage.nbytes() <= _REPEATED
            self._held[key] = digest(storage) if small else None
            if small:
                self._written.add(key)
        elif on_host:
            self._glances[key] = storage.nbytes(), glance(storage)
        else:
            self._glances.pop(key, None)
        return ALIASED if key in self._aliased else None

    def changed(self) -> str | None:
        """Return the reason if any memory is not what operations left."""
        fresh = ((entry[0](), entry[1]) for entry in self._fresh.values())
        held = ((self._before[key], held) for key, held in self._held.items())
        for storage, was in (*fresh, *held):
            if storage is not None and not _same(was, digest(storage)):
                return CHANGED
        return None

    def _forget(self, reference: weakref.KeyedRef[int, Any]) -> None:
        self._fresh.pop(reference.key, None)


def _same(before: _Digest, after: _Digest) -> bool:
    """Return True unless memory of the same size has other content."""
    return before is None or after is None or before[0] != after[0] or before == after

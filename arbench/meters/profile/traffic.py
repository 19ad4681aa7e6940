"""Work of a call, operator by operator: its FLOPs, and the bytes that it moves from how far away.

How fast a byte can be read depends on where it is, and that on what was accessed since it was last accessed: the
*reuse distance* (Mattson, Gecsei, Slutz and Traiger, *Evaluation techniques for storage hierarchies*, 1970, call it
stack distance) is the number of distinct bytes accessed in between. A cache of that size would still have it. So a
weight that each step reads once comes from where all the weights of a step fit, however small it is itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._ops import OpOverload

from arbench.meters.operators import Use

_address = torch._C.TensorBase.data_ptr  # the method of the class is watched while operations are counted


@dataclass(frozen=True, slots=True)
class Work:
    """The least that one call of an operator has to do."""

    name: str
    """Name of the operator, such as ``aten::addmm``."""
    flops: int
    dtype: str
    """Dtype of the arithmetic, such as ``float32``."""
    traffic: tuple[tuple[int, int], ...]
    """Bytes that are read or written, each with its working set: the bytes that a cache must have room for to serve
    them."""


class Distances:
    """The reuse distance of each access to memory, in bytes.

    Time is a sequence of slots, of which each access takes the next one. A slot holds the size of a place while its
    access is the last one to that place, so a distance is a sum over slots. A Fenwick tree makes it logarithmic.
    """

    def __init__(self) -> None:
        self._tree = [0]
        self._last: dict[int, tuple[int, int]] = {}
        self._held = 0

    @property
    def footprint(self) -> int:
        """The bytes of all places accessed so far."""
        return self._held

    def access(self, place: int, size: int) -> int | None:
        """Note an access; return the bytes of the other places accessed since the one before, None if there was none.

        Args:
            place: address of the memory.
            size: bytes that are accessed.
        """
        before, distance = self._last.get(place), None
        if before is not None:
            slot, held = before
            distance = self._held - self._sum(slot)
            self._add(slot, -held)
        self._tree.append(self._covered(len(self._tree)))
        self._last[place] = len(self._tree) - 1, size
        self._add(len(self._tree) - 1, size)
        return distance

    def _covered(self, slot: int) -> int:
        """Return what the tree must hold at a new slot: the sum of the slots before it that it covers."""
        return self._sum(slot - 1) - self._sum(slot - (slot & -slot))

    def _sum(self, slot: int) -> int:
        total = 0
        while slot > 0:
            total += self._tree[slot]
            slot &= slot - 1
        return total

    def _add(self, slot: int, size: int) -> None:
        self._held += size
        while slot < len(self._tree):
            self._tree[slot] += size
            slot += slot & -slot


class Traffic:
    """An observer of ``arbench.meters.count.count`` that keeps the work of each operation, in order."""

    def __init__(self) -> None:
        self._distances = Distances()
        self._made: list[tuple[str, int, str, list[tuple[int, int | None]]]] = []

    def __call__(
        self, op: OpOverload, flops: int, bytes: int, operands: Sequence[tuple[Use, Tensor]], created: Sequence[Tensor]
    ) -> None:
        """Take one operation."""
        parts: list[tuple[int, int | None]] = []
        for use, tensor in operands:
            moved = tensor.nbytes
            if use is Use.UPDATED:
                moved *= 2
            elif use is not Use.READ and use is not Use.OVERWRITTEN:
                continue  # part of it, which is served from where the whole operation is
            if moved:
                parts.append((moved, self._working_set(tensor)))
        for tensor in created:
            if tensor.nbytes:
                parts.append((tensor.nbytes, self._working_set(tensor) or bytes))  # new memory is nowhere yet
        rest = bytes - sum(moved for moved, _ in parts)
        if rest > 0:
            parts.append((rest, bytes))
        self._made.append((op._schema.name, flops, _dtype(operands, created), parts))

    def _working_set(self, tensor: Tensor) -> int | None:
        """Note an access; return the bytes that a cache must have room for to serve it, None for the first one."""
        size = _extent(tensor)
        distance = self._distances.access(_address(tensor), size)
        return None if distance is None else distance + size

    def work(self) -> list[Work]:
        """Return the work of all operations. What is accessed first is taken to be as far away as all else is large."""
        whole = max(self._distances.footprint, 1)
        return [
            Work(name, flops, dtype, tuple((moved, whole if far is None else far) for moved, far in parts))
            for name, flops, dtype, parts in self._made
        ]


def _extent(tensor: Tensor) -> int:
    """Return the bytes of memory that a tensor spans, at most those of its elements: expanded ones share them."""
    spanned = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return min(tensor.nbytes, spanned * tensor.itemsize)


def _dtype(operands: Sequence[tuple[Use, Tensor]], created: Sequence[Tensor]) -> str:
    """Return the dtype of an operation's arithmetic: that of its first floating-point tensor, or else of any."""
    tensors = [*(tensor for _, tensor in operands), *created]
    known = next((one for one in tensors if one.is_floating_point() or one.is_complex()), None)
    found = known if known is not None else next(iter(tensors), None)
    return "" if found is None else str(found.dtype).removeprefix("torch.")

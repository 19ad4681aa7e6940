"""Peak memory of a call above the memory allocated before it.

On a GPU the figure comes from the allocator: it covers everything that PyTorch allocates, including the workspaces of
libraries that use the allocator. On the CPU it is the sum of the live storages that operations returned; temporaries
inside an operation and the workspaces of libraries are not included. There, memory that another thread, another process
or foreign code allocates is not seen, and a call that uses it has no peak; compiled functions run as the plain PyTorch
that they were made from.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode

from arbench.meters.compiled import uncompiled
from arbench.meters.operators import Args, Kwargs, bind, traits_of
from arbench.meters.origin import UNKNOWN_ORIGIN, Origin
from arbench.meters.reach import within_reach
from arbench.meters.threads import handed_over

_LIFT = torch.ops.aten.lift_fresh.default


@dataclass(frozen=True, slots=True)
class Peak:
    """Peak memory of one call."""

    bytes: int | None
    """None where memory was allocated that is not seen."""
    why_unknown: str | None = None
    """Reason why ``bytes`` is None."""
    twin: str | None = None
    """As in ``Counts``."""


def peak_bytes(call: Callable[[], Any], device: str) -> int | None:
    """Run ``call`` once and return its peak memory in bytes, as ``peak`` does; None if it is unknown."""
    return peak(call, device).bytes


def peak(call: Callable[[], Any], device: str) -> Peak:
    """Run ``call`` once under ``torch.no_grad`` and measure its peak memory.

    Args:
        call: the callable to measure. Its results count as long as they live; its inputs do not count.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; memory elsewhere is not counted.

    Raises:
        ValueError: a device of another kind.
    """
    where = torch.device(device)
    if where.type == "cpu":
        origin = Origin(call)
        live = _Live(origin)
        try:
            with torch.no_grad(), handed_over(live.unseen), uncompiled(live.counted_as, live.unseen), live:
                result = call()
            for tensor in within_reach(result, code=False)[0]:
                live.expect_origin(tensor)
        finally:
            origin.close()
        return Peak(None if live.why else live.peak, live.why, live.twin)
    if where.type == "cuda":
        torch.cuda.synchronize(where)
        torch.cuda.reset_peak_memory_stats(where)
        before = torch.cuda.memory_allocated(where)
        with torch.no_grad():
            call()
        torch.cuda.synchronize(where)
        return Peak(torch.cuda.max_memory_allocated(where) - before)
    raise ValueError(f"cannot measure memory on {device!r}: expected 'cpu' or 'cuda'")


class _Live(TorchDispatchMode):
    """Dispatch mode that sums the sizes of the live CPU storages that operations created."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, for the reason given in ``count``."""
        return False

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin
        self.peak = 0
        self.why: str | None = None
        self.twin: str | None = None
        self._live = 0
        self._sizes: dict[int, tuple[weakref.KeyedRef[int, UntypedStorage], int]] = {}

    def unseen(self, why: str) -> None:
        """Mark the peak as unknown; the first reason is kept."""
        self.why = self.why or why

    def counted_as(self, twin: str) -> None:
        """Note what is measured in place of the call."""
        self.twin = twin

    def __torch_dispatch__(self, func: Any, types: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        kwargs = kwargs or {}
        traits = traits_of(func)
        if traits.composite:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        bound = bind(traits, args, kwargs)
        for use, tensor in bound:
            made_here = func is _LIFT or (traits.masks and not tensor.is_floating_point())
            if use.reads and not made_here:
                self.expect_origin(tensor)
        operands = [tensor for _, tensor in bound]
        given = {id(tensor.untyped_storage()) for tensor in operands if _has_storage(tensor)}
        out = func(*args, **kwargs)
        if func is _LIFT:  # the tensor comes from the host and no operation created it
            given.clear()
        results = [out] if isinstance(out, Tensor) else out if isinstance(out, (tuple, list)) else []
        for tensor in (*operands, *results):
            if isinstance(tensor, Tensor) and _has_storage(tensor):
                self._weigh(tensor.untyped_storage(), given)
        return out

    def expect_origin(self, tensor: Tensor) -> None:
        """Mark the peak as unknown if a tensor that no operation made is new; a single number comes from the host."""
        if _has_storage(tensor) and tensor.numel() > 1:
            storage = tensor.untyped_storage()
            if id(storage) not in self._sizes and not self._origin.existed(storage):
                self.unseen(UNKNOWN_ORIGIN)

    def _weigh(self, storage: UntypedStorage, given: set[int]) -> None:
        key = id(storage)
        known = self._sizes.get(key)
        if known is None and key in given:
            return  # it was allocated before the call
        reference = known[0] if known else weakref.KeyedRef(storage, self._freed, key)
        size = storage.nbytes()
        self._live += size - (known[1] if known else 0)
        self._sizes[key] = reference, size
        self.peak = max(self.peak, self._live)

    def _freed(self, reference: weakref.KeyedRef[int, Any]) -> None:
        self._live -= self._sizes.pop(reference.key)[1]


def _has_storage(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu"

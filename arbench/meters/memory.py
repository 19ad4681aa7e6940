"""Peak memory of a call above what was there before it.

On a GPU the allocator is asked: it sees everything that PyTorch allocates, the workspaces of its
libraries included where they come from it. On the CPU every storage that an operation returns is summed
while it lives; temporaries inside an operation and the workspaces of libraries are not seen there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode

from arbench.meters.operators import Args, Kwargs, bind, traits_of

_LIFT = torch.ops.aten.lift_fresh.default


def peak_bytes(call: Callable[[], Any], device: str) -> int:
    """Runs ``call`` once under ``torch.no_grad`` and returns its peak memory in bytes.

    Args:
        call: what to measure. What it returns counts as long as it lives, what it starts from does not.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; memory elsewhere is not counted.

    Raises:
        ValueError: a device of another kind.
    """
    where = torch.device(device)
    if where.type == "cpu":
        with torch.no_grad(), _Live() as live:
            call()
        return live.peak
    if where.type == "cuda":
        torch.cuda.synchronize(where)
        torch.cuda.reset_peak_memory_stats(where)
        before = torch.cuda.memory_allocated(where)
        with torch.no_grad():
            call()
        torch.cuda.synchronize(where)
        return torch.cuda.max_memory_allocated(where) - before
    raise ValueError(f"there is no memory meter for {device!r}: 'cpu' or 'cuda' have one")


class _Live(TorchDispatchMode):
    """Sums the sizes of the CPU storages that operations made and that still live."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """As in ``count``."""
        return False

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._sizes: dict[int, tuple[weakref.KeyedRef[int, UntypedStorage], int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        kwargs = kwargs or {}
        traits = traits_of(func)
        if traits.composite:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        operands = [tensor for _, tensor in bind(traits, args, kwargs)]
        given = {id(tensor.untyped_storage()) for tensor in operands if _has_storage(tensor)}
        out = func(*args, **kwargs)
        if func is _LIFT:  # a tensor fresh from the host, which no operation made
            given.clear()
        results = [out] if isinstance(out, Tensor) else out if isinstance(out, (tuple, list)) else []
        for tensor in (*operands, *results):
            if isinstance(tensor, Tensor) and _has_storage(tensor):
                self._weigh(tensor.untyped_storage(), given)
        return out

    def _weigh(self, storage: UntypedStorage, given: set[int]) -> None:
        key = id(storage)
        known = self._sizes.get(key)
        if known is None and key in given:
            return  # it was there before the call
        reference = known[0] if known else weakref.KeyedRef(storage, self._freed, key)
        size = storage.nbytes()
        self._live += size - (known[1] if known else 0)
        self._sizes[key] = reference, size
        self.peak = max(self.peak, self._live)

    def _freed(self, reference: weakref.KeyedRef[int, Any]) -> None:
        self._live -= self._sizes.pop(reference.key)[1]


def _has_storage(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu"

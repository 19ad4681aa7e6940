"""Peak memory of a call above the memory allocated before it.

On a GPU the figure comes from the allocator: it covers everything that PyTorch allocates, including the workspaces of
libraries that use the allocator. On the CPU it is the sum of the live storages that operations returned; temporaries
inside an operation and the workspaces of libraries are not included.
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
    """Run ``call`` once under ``torch.no_grad`` and return its peak memory in bytes.

    Args:
        call: the callable to measure. Its results count as long as they live; its inputs do not count.
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
    raise ValueError(f"cannot measure memory on {device!r}: expected 'cpu' or 'cuda'")


class _Live(TorchDispatchMode):
    """Dispatch mode that sums the sizes of the live CPU storages that operations created."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, for the reason given in ``count``."""
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
        if func is _LIFT:  # the tensor comes from the host and no operation created it
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

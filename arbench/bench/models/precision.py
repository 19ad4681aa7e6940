"""Precision of a computation: how a dtype rounds it, and whether an operation returns fewer digits than it names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from arbench.bench.inexact import InexactError


def _floating(value: Any) -> list[Tensor]:
    return [one for one in tree_iter(value) if isinstance(one, Tensor) and one.is_floating_point()]


class Precision(TorchDispatchMode):
    """Dispatch mode that looks for results with fewer digits than a dtype has, such as those of autocast.

    Args:
        dtype: dtype that the row names.

    Attributes:
        lower: the first operation that returned fewer digits, and the dtype of its result.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self._eps = torch.finfo(dtype).eps
        self.lower: tuple[str, torch.dtype] | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        # a tensor made of nothing, such as a mask of ones, and what is made of such tensors, loses no digits
        made = func.overloadpacket.__name__.startswith("new_") or func.overloadpacket.__name__.endswith("_like")
        if self.lower is None and not made and any(self._full(one.dtype) for one in _floating((args, kwargs))):
            lower = [one.dtype for one in _floating(out) if not self._full(one.dtype)]
            if lower:
                self.lower = str(func), lower[0]
        return out

    def _full(self, dtype: torch.dtype) -> bool:
        """Return whether a dtype has at least as many digits as the row's."""
        return torch.finfo(dtype).eps <= self._eps

    def check_weights(self, source: nn.Module) -> None:
        """Raise InexactError if a weight, or a tensor kept beside the weights, has fewer digits."""
        for place, part in source.named_modules():
            kept = {**part._parameters, **part._buffers, **vars(part)}
            for name, one in kept.items():
                if isinstance(one, Tensor) and one.is_floating_point() and not self._full(one.dtype):
                    what = ".".join(filter(None, (place, name)))
                    raise InexactError(f"{what} is {_short(one.dtype)}, in a row named {_short(self.dtype)}")

    def check(self) -> None:
        """Raise InexactError if an operation returned fewer digits."""
        if self.lower is not None:
            name, dtype = self.lower
            raise InexactError(f"{name} returns {_short(dtype)}, in a row named {_short(self.dtype)}")


class Rounded(TorchDispatchMode):
    """Dispatch mode that rounds the result of every float64 operation to a dtype.

    Args:
        dtype: the dtype to round to; numbers beyond its range become infinite.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns):
            for one in _floating(out):
                if one.dtype == torch.float64 and one.numel():
                    one.copy_(one.to(self.dtype))
        return out


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

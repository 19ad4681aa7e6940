"""Precision of a computation: no operation of a row returns fewer digits than the row's dtype has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
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
        if self.lower is None and any(self._full(one.dtype) for one in _floating((args, kwargs))):
            lower = [one.dtype for one in _floating(out) if not self._full(one.dtype)]
            if lower:
                self.lower = str(func), lower[0]
        return out

    def _full(self, dtype: torch.dtype) -> bool:
        """Return whether a dtype has at least as many digits as the row's."""
        return torch.finfo(dtype).eps <= self._eps

    def check(self) -> None:
        """Raise InexactError if an operation returned fewer digits."""
        if self.lower is not None:
            name, dtype = self.lower
            kind, own = (str(one).removeprefix("torch.") for one in (dtype, self.dtype))
            raise InexactError(f"{name} returns {kind}, in a row named {own}")

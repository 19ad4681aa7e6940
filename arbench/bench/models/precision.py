"""Precision of a computation: how a dtype rounds it, and whether an operation returns fewer digits than it names."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from arbench.bench.inexact import InexactError
from arbench.meters.compiled import uncompiled

_FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)


class _Results(TorchDispatchMode):
    """Dispatch mode that does something with the results of every operation."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in (out,) if isinstance(out, Tensor) else out if isinstance(out, tuple | list) else ():
            if isinstance(one, Tensor):
                self.returned(func, one, (args, kwargs))
        return out

    def returned(self, func: Any, result: Tensor, given: Any) -> None:
        """Look at a result of an operation, or change it.

        Args:
            func: the operation.
            result: one of its results.
            given: its arguments.
        """
        raise NotImplementedError


class Precision(_Results):
    """Dispatch mode that looks for results with fewer digits than a dtype has, such as those of autocast.

    Args:
        dtype: dtype that the row names.

    Attributes:
        lower: the first operation that returned fewer digits, and the dtype of its result.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        eps = torch.finfo(dtype).eps
        self._fewer = {other for other in _FLOATING if torch.finfo(other).eps > eps}
        self.lower: tuple[str, torch.dtype] | None = None
        self._uncompiled = ExitStack()

    def __enter__(self) -> Self:
        """Look from now on, at compiled functions as the plain PyTorch that they were made from."""
        self._uncompiled.enter_context(uncompiled(lambda twin: None, lambda why: None))
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Stop looking."""
        super().__exit__(*raised)
        self._uncompiled.close()

    def returned(self, func: Any, result: Tensor, given: Any) -> None:
        """Remember the first result that has fewer digits than what it was made of."""
        if result.dtype in self._fewer and self.lower is None and self._loses(func, given):
            self.lower = str(func), result.dtype

    def _loses(self, func: Any, given: Any) -> bool:
        """Return whether an operation whose result has fewer digits was given more.

        A tensor made of nothing, such as a mask of ones, and what is made of such tensors, loses no digits.
        """
        name = func.overloadpacket.__name__
        if name.startswith("new_") or name.endswith("_like"):
            return False
        found = (one for one in tree_iter(given) if isinstance(one, Tensor) and one.is_floating_point())
        return any(one.dtype not in self._fewer for one in found)

    def check_weights(self, source: nn.Module) -> None:
        """Raise InexactError if a weight, or a tensor kept beside the weights, has fewer digits."""
        for place, part in source.named_modules():
            kept = {**part._parameters, **part._buffers, **vars(part)}
            for name, one in kept.items():
                if isinstance(one, Tensor) and one.dtype in self._fewer:
                    what = ".".join(filter(None, (place, name)))
                    raise InexactError(f"{what} is {_short(one.dtype)}, in a row named {_short(self.dtype)}")

    def check(self) -> None:
        """Raise InexactError if an operation returned fewer digits."""
        if self.lower is not None:
            name, dtype = self.lower
            raise InexactError(f"{name} returns {_short(dtype)}, in a row named {_short(self.dtype)}")


class Rounded(_Results):
    """Dispatch mode that rounds the result of every float64 operation to a dtype.

    Args:
        dtype: the dtype to round to; numbers beyond its range become infinite.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def returned(self, func: Any, result: Tensor, given: Any) -> None:
        """Round a result in place; a view is of a result that was rounded."""
        if result.dtype == torch.float64 and result.numel() and not _returns_a_view(func):
            result.copy_(result.to(self.dtype))


@cache
def _returns_a_view(func: Any) -> bool:
    return any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

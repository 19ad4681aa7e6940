"""Float64 that stays float64: models of the package compute norms, angles and softmax in float32 by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class _Doubles(TorchFunctionMode):
    """Function mode in which ``float32`` means float64, as an argument of any function of PyTorch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            return args[0].double()
        if any(one is torch.float32 for one in args):
            args = tuple(torch.float64 if one is torch.float32 else one for one in args)
        kwargs = {key: torch.float64 if one is torch.float32 else one for key, one in (kwargs or {}).items()}
        return func(*args, **kwargs)


@contextmanager
def at_least(dtype: torch.dtype) -> Iterator[None]:
    """Compute in ``dtype`` where it is float64, although the code within the context asks for float32.

    Where a model casts to float32 it means "more than half precision". In float64 that cast would lose digits, and what
    is compared in float64 would differ by the rounding of float32.
    """
    if dtype != torch.float64:
        yield
        return
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Doubles():
            yield
    finally:
        torch.set_default_dtype(before)

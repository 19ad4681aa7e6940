"""Wrappers of every public kernel: autocast does not change what it computes, and it is differentiable once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")

_AUTOCAST = ("cpu", "cuda")
"""Kinds of devices whose operations ``torch.autocast`` may cast."""


def as_given(call: Callable[P, R]) -> Callable[P, R]:
    """Make a kernel compute in the dtype of its arguments under ``torch.autocast`` too.

    Autocast does not reach Triton and Numba; in plain PyTorch it would cast the operands of some operations and not
    those of others. So it is off within a kernel, on every backend.
    """

    @wraps(call)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                with torch.autocast(kind, enabled=False):
                    return run(*args, **kwargs)
        return call(*args, **kwargs)

    return run


class _Final(torch.autograd.Function):
    """Gradients as they are, which refuse to be differentiated."""

    @staticmethod
    def forward(ctx: Any, name: str, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the first ``count`` tensors; the others are what they depend on."""
        ctx.name = name
        return tuple(one.clone() for one in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(
            f"{ctx.name}: its gradient is not differentiable; use backend='eager' for derivatives of second order"
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make the backward pass of a kernel's ``autograd.Function`` refuse to be differentiated, whatever needs it.

    PyTorch's decorator of this name marks gradients only if the incoming ones need a gradient, and not as functions
    of what the pass saved. After ``y.sum()``, or where the derivative is asked for by ``torch.autograd.grad``, terms
    of second order would be dropped without a word. ``ctx.name`` is the kernel's name, and what has a gradient, or
    comes from it, is among ``ctx.saved_tensors``.
    """

    @wraps(backward)
    def run(ctx: Any, *incoming: Any) -> Any:
        with torch.no_grad():
            grads = backward(ctx, *incoming)
        if not torch.is_grad_enabled():
            return grads
        several = grads if isinstance(grads, tuple) else (grads,)
        found = [one for one in several if one is not None]
        origins = [one for one in (*ctx.saved_tensors, *incoming) if one is not None and one.requires_grad]
        final = iter(_Final.apply(ctx.name, len(found), *found, *origins))
        marked = tuple(None if one is None else next(final) for one in several)
        return marked if isinstance(grads, tuple) else marked[0]

    return run

"""Formulas for operators that do the work of several operations in one call.

A dispatch mode sees such a call as one operation. ``register_opaque`` tells the meters what is inside, so that a
fused operator has the depth and work of its unfused twin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch._ops import OpOverload

Links = int | Sequence[int]


@dataclass(frozen=True, slots=True)
class Opaque:
    """The formulas of one operator; each is called with the arguments of the operator."""

    depth: Callable[..., Links]
    flops: Callable[..., int] | None
    ops: Callable[..., int] | None
    late: Mapping[str, int]


_registry: dict[OpOverload, Opaque] = {}


def register_opaque(
    op: OpOverload,
    depth: Callable[..., Links],
    flops: Callable[..., int] | None = None,
    ops: Callable[..., int] | None = None,
    late: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Register the depth, FLOPs and operations of an operator.

    Args:
        op: an operator overload, for example ``torch.ops.arbench.sample.default``. A later registration of the same
            overload replaces the earlier one.
        depth: returns the links that the operator adds to its deepest input: an integer, or one for each result.
        flops: returns its floating-point operations, with a multiply-add counted as two. If None, the formula of
            PyTorch's own registry is used.
        ops: returns the number of tensor operations that it launches; 1 if None.
        late: names of inputs that join the chain only after some links, with the number of those links.

    The formulas are called with the arguments of the operator, including tensors.

    Raises:
        TypeError: ``op`` is not an overload (a packet such as ``torch.ops.aten.lstm`` is not one).
    """
    if not isinstance(op, OpOverload):
        raise TypeError(f"register_opaque expects an operator overload, not {op!r}: append '.default'")
    _registry[op] = Opaque(depth, flops, ops, dict(late))


def opaque_of(op: OpOverload) -> Opaque | None:
    """Return the formulas registered for ``op``; None if there are none."""
    return _registry.get(op)

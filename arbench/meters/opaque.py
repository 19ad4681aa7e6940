"""Formulas for operators that do in one call what others do in many.

A dispatch mode sees such a call from outside: one operation. ``register_opaque`` tells the meters
what is inside, so that a fused operator counts the depth and the work of its unfused twin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch._ops import OpOverload

Links = int | Sequence[int]


@dataclass(frozen=True, slots=True)
class Opaque:
    """The formulas of one operator; each is called with the call's own arguments."""

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
    """Declares what an operator holds inside.

    Args:
        op: an operator overload, such as ``torch.ops.arbench.sample.default``. A later registration
            of the same overload replaces the earlier one.
        depth: links it adds to the chain of its deepest input; an integer, or one for each result.
        flops: its floating-point operations, a multiply-add counted as two. Without it PyTorch's own
            registry is asked.
        ops: tensor operations it launches; 1 without it.
        late: for an input (by name) that joins the chain only after so many links, that number.

    The formulas are called with the arguments of the call, tensors included.

    Raises:
        TypeError: ``op`` is not an overload (a packet such as ``torch.ops.aten.lstm`` is not one).
    """
    if not isinstance(op, OpOverload):
        raise TypeError(f"register_opaque needs an operator overload, not {op!r}: append '.default'")
    _registry[op] = Opaque(depth, flops, ops, dict(late))


def opaque_of(op: OpOverload) -> Opaque | None:
    """The formulas registered for ``op``."""
    return _registry.get(op)

"""Work of one tensor operation: floating-point operations, and the bytes of its operands.

FLOPs are those of products and convolutions, with a multiply-add counted as two; element-wise operations and
reductions count none. The formulas are PyTorch's (``torch.utils.flop_counter``), and this module adds missing ones.

Bytes are logical: each tensor is read or written once, element count times item size (a broadcast view counts its
elements, not its memory). Caches are ignored. A table read by index (``embedding``, ``gather``, ``index_select``,
``x[idx]``) counts the bytes that are read, and a tensor written by index the bytes that are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils.flop_counter import flop_registry

from arbench.meters.opaque import opaque_of
from arbench.meters.operators import Args, Kwargs, Use, argument

Formula = Callable[[Args, Kwargs, Any], int]
"""FLOPs of a call from its arguments and its result."""

aten = torch.ops.aten


def _product(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of ``A B``: (..., m, k) by (..., k, n)."""
    return 2 * args[0].numel() * args[1].size(-1)


def _added_product(args: Args, kwargs: Kwargs, out: Any) -> int:
    """``beta C + alpha A B``: the sum counts nothing."""
    return 2 * args[1].numel() * args[2].size(-1)


def _vector(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of ``A x``: (m, k) or (k,) by (k,)."""
    return 2 * args[0].numel()


def _added_vector(args: Args, kwargs: Kwargs, out: Any) -> int:
    return 2 * args[1].numel()


def _convolution(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Each output element (transposed: each input element) is combined with the weights of one filter."""
    x, weight, transposed = args[0], args[1], args[6]
    met = x if transposed else out
    return 2 * met.numel() * (weight.numel() // weight.size(0))


_products: dict[Any, Formula] = {
    aten.mm: _product,
    aten.bmm: _product,
    aten._int_mm: _product,
    aten.mv: _vector,
    aten.dot: _vector,
    aten.vdot: _vector,
    aten.addmm: _added_product,
    aten.addmm_: _added_product,
    aten._addmm_activation: _added_product,
    aten.baddbmm: _added_product,
    aten.baddbmm_: _added_product,
    aten.addbmm: _added_product,
    aten.addbmm_: _added_product,
    aten.convolution: _convolution,
    aten.addmv: _added_vector,
    aten.addmv_: _added_vector,
}
"""Formulas cheaper than PyTorch's, which for some of these operators take longer than the operator itself."""


def flops_of(op: OpOverload) -> Formula | None:
    """Return the formula for an operator's FLOPs; None if it counts none."""
    opaque = opaque_of(op)
    if opaque is not None and opaque.flops is not None:
        registered = opaque.flops
        return lambda args, kwargs, out: registered(*args, **kwargs)
    packet = op._overloadpacket
    if packet in _products:
        return _products[packet]
    if packet in flop_registry:
        torchs = flop_registry[packet]
        return lambda args, kwargs, out: int(torchs(*args, **kwargs, out_val=out))
    return None


def bytes_of(
    op: OpOverload,
    args: Args,
    kwargs: Kwargs,
    operands: Iterable[tuple[Use, Tensor]],
    created: Iterable[Tensor],
) -> int:
    """Return the bytes read and written by one call that created the tensors ``created``."""
    made = 0
    for tensor in created:
        made += tensor.nbytes
    total = made
    for use, tensor in operands:
        if use is Use.READ or use is Use.OVERWRITTEN:
            total += tensor.nbytes
        elif use is Use.UPDATED:
            total += 2 * tensor.nbytes
        elif use is Use.GATHERED:
            total += made
        elif use is Use.PLACED:
            total += tensor.itemsize * _placed(op, args, kwargs, tensor)
    return total


def _placed(op: OpOverload, args: Args, kwargs: Kwargs, tensor: Tensor) -> int:
    """Return how many elements a call writes by index into ``tensor``."""
    name = op._schema.name.partition("::")[2]
    if name in ("scatter_", "put_"):
        return argument(op, "index", args, kwargs).numel()
    if name in ("index_copy_", "index_fill_"):
        index, dim = argument(op, "index", args, kwargs), argument(op, "dim", args, kwargs)
        return tensor.numel() // max(tensor.size(dim), 1) * index.numel() if tensor.dim() else 1
    indices = argument(op, "indices", args, kwargs)
    picked = torch.broadcast_shapes(*(index.shape for index in indices if index is not None))
    kept = [n for n, index in zip(tensor.shape, indices, strict=False) if index is None]
    return prod(picked) * prod(kept) * prod(tensor.shape[len(indices) :])

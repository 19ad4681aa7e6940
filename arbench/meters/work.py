"""Work of one tensor operation: floating-point operations, and the bytes of its operands.

FLOPs are those of products and convolutions, with a multiply-add counted as two; element-wise operations and
reductions count none. A complex multiply-add is four multiplications and four additions and counts as eight (PyTorch
computes a complex convolution as three real ones, and those are counted). The formulas are PyTorch's
(``torch.utils.flop_counter``), and this module and ``linalg`` add missing ones.

Bytes are logical: each tensor is read or written once, element count times item size (a broadcast view counts its
elements, not its memory). Caches are ignored. A table read by index (``embedding``, ``gather``, ``index_select``,
``x[idx]``) counts the bytes that are read, and a tensor written by index the bytes that are written (twice where the
write adds to what was there).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils.flop_counter import flop_registry

from arbench.meters.opaque import opaque_of
from arbench.meters.operators import Args, Kwargs, Use, argument

_COMPLEX = 4
"""Ratio of the FLOPs of a complex multiply-add to those of a real one."""
Formula = Callable[[Args, Kwargs, Any], int]
"""FLOPs of a call from its arguments and its result."""

aten = torch.ops.aten


def _product(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of ``A B``: (..., m, k) by (..., k, n)."""
    return 2 * args[0].numel() * args[1].size(-1)


def _added_product(args: Args, kwargs: Kwargs, out: Any) -> int:
    """``beta C + alpha A B``: the sum counts nothing."""
    return 2 * args[1].numel() * args[2].size(-1)


def _linear(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of ``A B^T``: (..., k) by (n, k)."""
    return 2 * args[0].numel() * args[1].size(0)


def _vector(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of ``A x``: (m, k) or (k,) by (k,)."""
    return 2 * args[0].numel()


def _added_vector(args: Args, kwargs: Kwargs, out: Any) -> int:
    return 2 * args[1].numel()


def _outer(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of ``beta C + alpha x y^T``: a product over one element."""
    return 2 * args[1].numel() * args[2].numel()


def _convolution(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Each output element (transposed: each input element) is combined with the weights of one filter."""
    x, weight, transposed = args[0], args[1], args[6]
    met = x if transposed else out
    return 2 * met.numel() * (weight.numel() // weight.size(0))


def _distances(args: Args, kwargs: Kwargs, out: Any) -> int:
    """Return the FLOPs of distances between rows: Euclidean ones are a product."""
    euclidean = len(args) < 3 or args[2] == 2
    return 2 * out.numel() * args[0].size(-1) if euclidean else 0


_products: dict[Any, Formula] = {
    aten.mm: _product,
    aten.bmm: _product,
    aten._int_mm: _product,
    aten.linear: _linear,
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
    aten._cdist_forward: _distances,
    aten._euclidean_dist: _distances,
    aten.addr: _outer,
    aten.addr_: _outer,
}
"""Formulas cheaper than PyTorch's, which for some of these operators take longer than the operator itself."""


_IS_PRODUCT = re.compile(r"(?:^|_)(?:(?:add|badd)?b?mm|matmul|linear|conv(?:olution|\d?d?)?(?:tbc)?)(?:_|$)")
"""Names of operators that multiply and add, whether or not there is a formula for them."""


def hidden_work(op: OpOverload, opaque: str | None) -> str | None:
    """Return the reason if the FLOPs of an operator without a formula are unknown, rather than none.

    Args:
        op: the operator.
        opaque: the reason why its depth is unknown, if it is.
    """
    if op.namespace not in ("aten", "prims", "prim"):
        return f"{op.name()} is a custom operator without a registered FLOP formula"
    product = _IS_PRODUCT.search(op._schema.name.partition("::")[2])
    return opaque or (f"{op.name()} has no registered FLOP formula" if product else None)


def flops_of(op: OpOverload) -> Formula | None:
    """Return the formula for an operator's FLOPs; None if it counts none."""
    opaque = opaque_of(op)
    if opaque is not None and opaque.flops is not None:
        registered = opaque.flops
        found: Formula = lambda args, kwargs, out: registered(*args, **kwargs)  # noqa: E731
        return _by_dtype(found) if op.namespace == "aten" else found
    packet = op._overloadpacket
    if packet in _products:
        return _by_dtype(_products[packet])
    if packet in flop_registry:
        torchs = flop_registry[packet]
        return _by_dtype(lambda args, kwargs, out: int(torchs(*args, **kwargs, out_val=out)))
    return None


def _by_dtype(real: Formula) -> Formula:
    """Return a formula that is right for complex tensors from one that is right for real ones."""

    def formula(args: Args, kwargs: Kwargs, out: Any) -> int:
        flops = real(args, kwargs, out)
        return _COMPLEX * flops if args[0].is_complex() else flops

    return formula


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
        elif use is Use.ACCUMULATED:
            total += 2 * tensor.itemsize * _placed(op, args, kwargs, tensor)
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

"""The effect of a tensor operator on its operands, derived from its schema.

The schema declares which arguments are written and which results are views. It does not declare that a value reaches
the host, or that a written argument is not read; sets of operator names in this module do. So a written argument is
taken to be read too (as it is by ``index_add_`` or ``scatter_reduce_``), unless it is an ``out`` of PyTorch or named
here; and one that is named is read nevertheless where the call says ``accumulate=True``.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Kind(Enum):
    """Kind of an operator, by its effect."""

    VIEW = "view"
    """New metadata for the same memory; not counted as an operation."""
    ALLOCATION = "allocation"
    """Uninitialised memory; not counted as an operation."""
    CONSTANT = "constant"
    """Values that the host knows in advance (zeros, full, arange): an operation, but no link."""
    COMPUTATION = "computation"
    """Everything else, random numbers included."""


class Use(Enum):
    """Use of one tensor operand by an operator."""

    READ = "read"
    GATHERED = "gathered"
    """Read at the positions given by other operands."""
    SHAPE = "shape"
    """Only its shape and dtype are read."""
    OVERWRITTEN = "overwritten"
    """Written completely and not read."""
    UPDATED = "updated"
    """Read and written."""
    PLACED = "placed"
    """Written at the positions given by other operands; the rest is unchanged."""
    ACCUMULATED = "accumulated"
    """Read and written at the positions given by other operands."""

    def __init__(self, _: str) -> None:
        self.reads = self.value in ("read", "gathered", "updated", "accumulated")
        self.writes = self.value in ("overwritten", "updated", "placed", "accumulated")


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor argument, or a list of tensors."""

    position: int
    name: str
    many: bool
    use: Use


@dataclass(frozen=True, slots=True)
class Traits:
    """Properties of one operator that the meters use."""

    op: OpOverload
    kind: Kind
    operands: tuple[Operand, ...]
    composite: bool
    """True if it decomposes into other operators."""
    host: bool
    """True if its result, or the shape of its result, may reach the host."""
    links: int
    """Number of links it adds to a chain: 1, or 0 for constants and for a pure copy to the host."""
    scan: bool
    """True for a prefix scan, whose links grow with the length of the scanned dimension."""
    masks: bool
    """True if its ``indices`` may contain masks, whose effect depends on their values."""
    accumulates: bool
    """True if an argument decides whether it adds to its destination."""
    statistics: bool
    """True if it updates running statistics, which its schema does not declare, where it trains."""
    opaque: str | None
    """Reason why its depth is unknown, unless a formula is registered."""


_VIEWS_WITHOUT_ALIAS = {"_unsafe_view", "unsafe_split", "unsafe_split_with_sizes"}
_CONSTANTS = {
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "zero",
    "zero_",
    "fill_.Scalar",
}
_SHAPE_ONLY = _CONSTANTS | {"rand_like", "randn_like", "randint_like"}
_OVERWRITES = {
    "copy_",
    "zero_",
    "fill_",
    "uniform_",
    "normal_",
    "random_",
    "exponential_",
    "geometric_",
    "log_normal_",
    "cauchy_",
    "bernoulli_",
    "_foreach_copy_",
    "_foreach_zero_",
}
_PLACES = {
    "index_put_",
    "_index_put_impl_",
    "_unsafe_index_put_",
    "index_copy_",
    "index_fill_",
    "scatter_",
    "put_",
}
_GATHERS = {"index", "_unsafe_index", "index_select", "gather", "take", "embedding"}
_SCANS = {
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "logcumsumexp",
    "_logcumsumexp",
    "cumsum_",
    "cumprod_",
    "_cummax_helper",
    "_cummin_helper",
}
_STATISTICS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"}
_ONE_STEP_LINALG = {"linalg_cross", "linalg_vector_norm", "linalg_vecdot", "linalg_diagonal", "_linalg_check_errors"}
"""Operators of ``torch.linalg`` that are element-wise, a reduction, or no computation."""
_HOST_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_HOST_NAMES = {
    "_pack_padded_sequence",
    "_linalg_check_errors",
    "_assert_scalar",
    "index_put_",
    "index_put",
}
_FUSED_WITHOUT_FORMULA = {
    "_transformer_encoder_layer_fwd",
    "_native_multi_head_attention",
    "_triton_multi_head_attention",
    "_ctc_loss",
    "quantized_lstm",
    "quantized_gru",
    "miopen_rnn",
    "_lstm_mps",
    "_scaled_dot_product_attention_math_for_mps",
}


@functools.cache
def traits_of(op: OpOverload) -> Traits:
    """Return the traits of ``op``."""
    schema = op._schema
    name = schema.name.partition("::")[2]
    operands = tuple(
        Operand(position, argument.name, "List" in str(argument.type), _use(op, name, argument))
        for position, argument in enumerate(schema.arguments)
        if "Tensor" in str(argument.type)
    )
    kind = _kind(op, name, operands)
    return Traits(
        op=op,
        kind=kind,
        operands=operands,
        composite=torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), "CompositeImplicitAutograd"),
        host=_may_reach_host(op, name),
        links=0 if kind is Kind.CONSTANT or name == "_local_scalar_dense" else 1,
        scan=name in _SCANS,
        masks=any(argument.name == "indices" for argument in schema.arguments)
        and name.strip("_").startswith(("index", "unsafe_index")),
        accumulates=any(argument.name == "accumulate" for argument in schema.arguments),
        statistics=name in _STATISTICS,
        opaque=_opaque(op, name),
    )


def bind(traits: Traits, args: Args, kwargs: Kwargs) -> list[tuple[Use, Tensor]]:
    """Return the tensors of a call, each with its use."""
    bound: list[tuple[Use, Tensor]] = []
    given, varies = len(args), traits.masks or traits.accumulates or traits.statistics
    for operand in traits.operands:
        position = operand.position
        value = args[position] if position < given else kwargs.get(operand.name)
        if operand.many:
            bound += [(operand.use, item) for item in value or () if isinstance(item, Tensor)]
        elif isinstance(value, Tensor):
            bound.append((_use_in_call(traits, operand, args, kwargs) if varies else operand.use, value))
    return bound


def _use_in_call(traits: Traits, operand: Operand, args: Args, kwargs: Kwargs) -> Use:
    """Return the use of an operand where other arguments of the call decide it."""
    if operand.use is Use.PLACED:
        if traits.masks and has_mask(traits.op, args, kwargs):
            return Use.UPDATED
        if traits.accumulates and argument(traits.op, "accumulate", args, kwargs):
            return Use.ACCUMULATED
    if traits.statistics and operand.name.startswith("running_") and argument(traits.op, "training", args, kwargs):
        return Use.UPDATED
    return operand.use


def argument(op: OpOverload, name: str, args: Args, kwargs: Kwargs) -> Any:
    """Return the value of an argument by name, or its default where it was not given."""
    for position, declared in enumerate(op._schema.arguments):
        if declared.name == name:
            if position < len(args):
                return args[position]
            return kwargs.get(name, declared.default_value)
    raise KeyError(f"{op} has no argument {name!r}")


def has_mask(op: OpOverload, args: Args, kwargs: Kwargs) -> bool:
    """Return True if the indices of an indexing operator include a mask."""
    indices = argument(op, "indices", args, kwargs)
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def reaches_host(op: OpOverload, args: Args, kwargs: Kwargs) -> bool:
    """Return True if a call of an operator with the trait ``host`` does reach the host.

    Indexing does only with a mask, and writing with a mask only if the mask must match several values.
    """
    if not traits_of(op).masks:
        return True
    if not has_mask(op, args, kwargs):
        return False
    puts = any(declared.name == "values" for declared in op._schema.arguments)
    return not puts or argument(op, "values", args, kwargs).numel() > 1


def scan_links(op: OpOverload, args: Args, kwargs: Kwargs) -> int:
    """Return ceil(log2 n) of the scanned dimension, at least 1."""
    tensor, dim = args[0], argument(op, "dim", args, kwargs)
    length = tensor.size(dim) if tensor.dim() else 1
    return max(1, math.ceil(math.log2(max(length, 1))))


def _kind(op: OpOverload, name: str, operands: tuple[Operand, ...]) -> Kind:
    returns = op._schema.returns
    aliases = [result.alias_info for result in returns if "Tensor" in str(result.type)]
    if name in _VIEWS_WITHOUT_ALIAS or torch.Tag.inplace_view in op.tags:
        return Kind.VIEW
    if aliases and all(alias is not None and not alias.is_write for alias in aliases):
        return Kind.VIEW
    if name.startswith(("empty", "new_empty")):
        return Kind.ALLOCATION
    if name in _CONSTANTS or f"{name}.{op._overloadname}" in _CONSTANTS:
        return Kind.CONSTANT
    random = torch.Tag.nondeterministic_seeded in op.tags
    if aliases and not random and all(operand.use is Use.OVERWRITTEN for operand in operands):
        return Kind.CONSTANT
    return Kind.COMPUTATION


def _use(op: OpOverload, name: str, argument: Any) -> Use:
    first = op._schema.arguments[0].name == argument.name
    if argument.alias_info is not None and argument.alias_info.is_write:
        if (argument.is_out and op.namespace == "aten") or name in _OVERWRITES:
            return Use.OVERWRITTEN
        reduces = any(other.name == "reduce" for other in op._schema.arguments)
        return Use.PLACED if name in _PLACES and not reduces else Use.UPDATED
    if name in _SHAPE_ONLY and first:
        return Use.SHAPE
    return Use.GATHERED if name in _GATHERS and first else Use.READ


def _may_reach_host(op: OpOverload, name: str) -> bool:
    tags = set(op.tags)
    if any(declared.is_out for declared in op._schema.arguments):
        # An out= variant lacks the tags of its operator.
        packet = op._overloadpacket
        tags.update(*(getattr(packet, other).tags for other in packet.overloads()))
    return name in _HOST_NAMES or bool(tags & _HOST_TAGS)


def _opaque(op: OpOverload, name: str) -> str | None:
    if op.namespace not in ("aten", "prims", "prim"):
        return f"{op.name()} is a custom operator without a registered depth formula"
    if name in _FUSED_WITHOUT_FORMULA:
        return f"{op.name()} fuses many operations and has no registered depth formula"
    if name.lstrip("_").startswith("linalg_") and name not in _ONE_STEP_LINALG:
        return f"{op.name()} has no registered depth formula: its steps depend on each other, or on the values"
    return None

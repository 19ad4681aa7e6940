"""Tensors as rows: leading axes merged as far as strides allow, for kernels that treat each row alone."""

from __future__ import annotations

from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

MOST_AXES = 3


@dataclass(frozen=True)
class Rows:
    """Leading axes of tensors of one shape, merged into at most three.

    Attributes:
        count: number of rows.
        inner: sizes of the second and third axis; 1 for an axis that does not exist.
        strides: strides of the three axes in elements, for each tensor.
    """

    count: int
    inner: tuple[int, int]
    strides: tuple[tuple[int, int, int], ...]


def rows_of(name: str, *tensors: Tensor) -> Rows:
    """Merge the axes of tensors of one shape as far as the strides of all allow, without a copy.

    Args:
        name: name of the kernel, for the message of an error.
        tensors: tensors of one shape, without their last axis.

    Raises:
        ValueError: more than three axes remain.
    """
    merged: list[tuple[int, list[int]]] = []
    for axis, size in enumerate(tensors[0].shape):
        if size == 1:
            continue
        strides = [t.stride(axis) for t in tensors]
        if merged and all(outer == inner * size for outer, inner in zip(merged[-1][1], strides, strict=True)):
            merged[-1] = (merged[-1][0] * size, strides)
        else:
            merged.append((size, strides))
    if len(merged) > MOST_AXES and tensors[0].numel() == 0:
        return Rows(0, (1, 1), ((0, 0, 0),) * len(tensors))
    if len(merged) > MOST_AXES:
        raise ValueError(
            f"{name}: {len(merged)} leading axes of shape {tuple(tensors[0].shape)} do not merge into "
            f"{MOST_AXES}; make the tensor contiguous"
        )
    none = (1, [0] * len(tensors))
    first, *rest = [*merged, *[none] * (MOST_AXES - len(merged))] if merged else [none] * MOST_AXES
    axes = [first, *rest]
    count = axes[0][0] * axes[1][0] * axes[2][0]
    by_tensor = tuple((axes[0][1][i], axes[1][1][i], axes[2][1][i]) for i in range(len(tensors)))
    return Rows(count, (axes[1][0], axes[2][0]), by_tensor)


@triton.jit
def row_block(rows, BLOCK_ROWS: tl.constexpr):
    """Return the rows (BLOCK_ROWS,) of this program, as int64, and the mask of those that exist."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    return row, row < rows


@triton.jit
def row_offset(row, size_1, size_2, stride_0, stride_1, stride_2):
    """Return where a row starts, in elements.

    ``row`` counts through three axes of sizes (any, size_1, size_2), whose product may exceed 32 bits.
    """
    outer = row // size_2
    return outer // size_1 * stride_0 + outer % size_1 * stride_1 + row % size_2 * stride_2


@triton.jit
def widen(x):
    """Convert half precision to float32, the precision of all arithmetic; leave wider types unchanged."""
    if x.dtype == tl.float64:
        return x
    else:
        return x.to(tl.float32)

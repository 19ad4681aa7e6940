"""Products of a few vectors with a packed matrix, whose weights are read once, in order, for a whole batch.

A step of a sampler multiplies small vectors by all of a model's weights, so it can be no faster than these are read.
Weights are packed in the order of use: panels of up to 64 columns (in float32), and within a panel one input after the
other. Partial sums of a panel stay in registers. bfloat16 weights are stored as pairs of neighbouring inputs in 32
bits, from which a shift and a mask make two vectors of float32; arithmetic is float32.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor
from torch.nn.functional import pad

from arbench.kernels.core import numba_rows
from arbench.kernels.core.numba_rows import compiled
from arbench.kernels.samplers import vectors
from arbench.kernels.samplers.vectors import INT, LINE, ZERO, Vectors, data, lanes

MOST_VECTORS = 4
"""Largest width of a panel, in vectors."""
MOST_ROWS = 4
"""Largest number of vectors multiplied at a time: 16 sums and four vectors of weights fill the registers of AVX-512."""
UNROLLED = 4
"""Inputs multiplied in one round of the inner loop."""
HELPERS = numba_rows.sources(vectors)
"""See ``numba_rows.sources``."""
_VERSION = numba_rows.sources(vectors, sys.modules[__name__])[:16]
"""A process has one function of a name: another version of arbench in it must not get this one's."""


def padded(size: int, dtype: torch.dtype) -> int:
    """Return a size rounded up to whole vectors of ``dtype``."""
    per = lanes(dtype.itemsize)
    return -(-size // per) * per


def panels(width: int, per: int) -> Iterator[tuple[int, int]]:
    """Yield the first column and the end of each panel of a padded width.

    Args:
        width: number of columns, a multiple of ``per``.
        per: elements of a vector.
    """
    for begin in range(0, width, MOST_VECTORS * per):
        yield begin, min(begin + MOST_VECTORS * per, width)


def pack(weight: Tensor, stored: torch.dtype) -> Tensor:
    """Return a matrix (I, O) in the order in which ``product`` reads it, one-dimensional.

    Args:
        weight: the matrix, float32 or float64; I and O are multiples of a vector's elements.
        stored: ``weight``'s dtype, or bfloat16 for a float32 matrix, which is then rounded; the result is int16.
    """
    parts = []
    for begin, end in panels(weight.shape[1], lanes(weight.dtype.itemsize)):
        part = weight[:, begin:end]
        if stored == torch.bfloat16:
            part = part.to(stored).view(torch.int16).unflatten(0, (-1, 2)).transpose(1, 2)
        parts.append(part.reshape(-1))
    return torch.cat(parts)


def pad_to(weight: Tensor, inputs: int, outputs: int) -> Tensor:
    """Return a matrix (I, O) with zeros behind its rows and columns, (inputs, outputs)."""
    return pad(weight, (0, outputs - weight.shape[1], 0, inputs - weight.shape[0]))


@intrinsic
def _tile(context, weights, at, x, x_at, x_stride, y, y_at, y_stride, inputs, rows, vectors):
    """Add to y (rows, vectors) the product of x (rows, inputs) and a panel of weights (inputs, vectors)."""

    def generate(context, builder, signature, args):
        w_type, x_type, y_type = (signature.args[i] for i in (0, 2, 5))
        w, at, x, x_at, x_stride, y, y_at, y_stride, *sizes = args
        w = builder.gep(data(context, builder, w_type, w), [at])
        x = builder.gep(data(context, builder, x_type, x), [x_at])
        y = builder.gep(data(context, builder, y_type, y), [y_at])
        function = _tiles(context, builder.module, y_type.dtype, w_type.dtype, [one.type for one in (w, x, y)])
        builder.call(function, [w, x, x_stride, y, y_stride, *sizes])
        return context.get_dummy_value()

    one = types.int64
    return types.void(weights, one, x, one, one, y, one, one, one, one, one), generate


def _tiles(context: Any, module: Any, kind: Any, stored: Any, pointers: list[Any]) -> Any:
    """Return the function of all tile sizes: one in a module, never inlined, or it would be compiled at each use."""
    name = f"arbench_tiles_{kind}_{stored}_{_VERSION}"
    if name in module.globals:
        return module.globals[name]
    w, x, y = pointers
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [w, x, INT, y, INT, INT, INT, INT]), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    w, x, x_stride, y, y_stride, inputs, rows, vectors = function.args
    v = Vectors(context, builder, kind, stored)
    end = function.append_basic_block("end")
    switch = builder.switch(builder.add(builder.mul(rows, INT(MOST_VECTORS + 1)), vectors), end)
    for r in range(1, MOST_ROWS + 1):
        for c in range(1, MOST_VECTORS + 1):
            block = function.append_basic_block(f"tile_{r}_{c}")
            switch.add_case(INT(r * (MOST_VECTORS + 1) + c), block)
            builder.position_at_end(block)
            _multiply(v, w, (x, x_stride), (y, y_stride), inputs, r, c)
            builder.branch(end)
    builder.position_at_end(end)
    builder.ret_void()
    return function


def _multiply(v: Vectors, w: Any, x: tuple[Any, Any], y: tuple[Any, Any], inputs: Any, rows: int, vectors: int) -> None:
    """Emit the loop over inputs for a tile of a fixed size; several sets of sums hide the latency of additions."""
    b, size = v.builder, rows * vectors
    sets = 2 if size <= MOST_VECTORS else 1
    x_rows, y_rows = ([b.gep(p, [b.mul(stride, INT(r))]) for r in range(rows)] for p, stride in (x, y))
    before = b.block
    first = [v.load(y_rows[r], c * v.lanes) for r in range(rows) for c in range(vectors)]
    first += [v.zero()] * (size * (sets - 1))
    loop, done = b.append_basic_block("inputs"), b.append_basic_block("sums")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(INT)
    k.add_incoming(INT(0), before)
    sums = [b.phi(v.type) for _ in first]
    for phi, value in zip(sums, first, strict=True):
        phi.add_incoming(value, before)
    new: list[Any] = list(sums)
    at = b.gep(w, [b.mul(k, INT(vectors * v.lanes))])
    for u, weights in enumerate(_weights(v, at, vectors)):
        for r in range(rows):
            value = v.splat(b.gep(x_rows[r], [b.add(k, INT(u))]))
            for c in range(vectors):
                i = (u % sets) * size + r * vectors + c
                new[i] = v.multiply_add(value, weights[c], new[i])
    following = b.add(k, INT(UNROLLED))
    k.add_incoming(following, loop)
    for phi, value in zip(sums, new, strict=True):
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_signed("<", following, inputs), loop, done)
    b.position_at_end(done)
    for i in range(size):
        total = new[i] if sets == 1 else b.fadd(new[i], new[size + i])
        v.store(total, y_rows[i // vectors], i % vectors * v.lanes)


def _weights(v: Vectors, at: Any, vectors: int) -> Iterator[list[Any]]:
    """Yield the vectors of weights of each of the next ``UNROLLED`` inputs."""
    for u in range(0, UNROLLED, 2):
        if v.paired:
            both = [v.pairs(at, (u * vectors + 2 * c) * v.lanes) for c in range(vectors)]
            yield [low for low, _ in both]
            yield [high for _, high in both]
        else:
            for one in (u, u + 1):
                yield [v.load(at, (one * vectors + c) * v.lanes) for c in range(vectors)]


@njit(error_model="numpy", nogil=True)
def product(weights, at, inputs, outputs, x, x_at, x_stride, y, y_at, y_stride, rows):
    """Add x W to y for each of ``rows`` vectors, and return where the next matrix begins.

    Args:
        weights: packed matrices, one-dimensional; uint16 for bfloat16.
        at: where W (inputs, outputs) begins.
        inputs: number of inputs, padded.
        outputs: number of outputs, padded.
        x: memory of the vectors; vector r begins at x_at + r x_stride.
        x_at: see ``x``.
        x_stride: see ``x``.
        y: memory of the sums, as for ``x``.
        y_at: see ``y``.
        y_stride: see ``y``.
        rows: number of vectors.
    """
    if inputs == 0:
        return at
    per = LINE // y.itemsize
    for begin in range(0, outputs, MOST_VECTORS * per):
        across = min(MOST_VECTORS, (outputs - begin) // per)
        for row in range(0, rows, MOST_ROWS):
            few = min(MOST_ROWS, rows - row)
            x_row, y_row = x_at + row * x_stride, y_at + row * y_stride + begin
            _tile(weights, at, x, x_row, x_stride, y, y_row, y_stride, inputs, few, across)
        at += inputs * across * per
    return at


@compiled()
def products(weights, count, inputs, outputs, x, y, rows, helpers=HELPERS):
    """Add to y (count, rows, outputs) the products of x (count, rows, inputs) with ``count`` matrices.

    Args:
        weights: the matrices, packed, one after the other, one-dimensional; uint16 for bfloat16.
        count: how many.
        inputs: number of inputs, padded.
        outputs: number of outputs, padded.
        x: one-dimensional.
        y: one-dimensional.
        rows: number of vectors for each matrix.
        helpers: part of the signature by which Numba finds cached code.
    """
    at = ZERO
    for i in range(count):
        x_at, y_at = i * rows * inputs, i * rows * outputs
        at = product(weights, at, inputs, outputs, x, x_at, inputs, y, y_at, outputs, rows)

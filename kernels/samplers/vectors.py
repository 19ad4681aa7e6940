"""Vectors of one cache line in code that Numba compiles: loads, widening, multiply-add.

LLVM splits them where the processor's registers are narrower, so the code runs on every processor.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config

LINE = 64
"""Bytes of a vector: a cache line, and a register of AVX-512."""
INT = ir.IntType(64)
ZERO = np.int64(0)
"""An index to pass on: for a literal 0, which has a type of its own, Numba would compile a function again."""
_REGISTERS = (("avx512f", "AVX-512", 64), ("avx2", "AVX2", 32), ("avx", "AVX", 32), ("neon", "NEON", 16))
_OLDEST = "SSE2", 16
"""Registers that every x86-64 processor has."""


def lanes(itemsize: int) -> int:
    """Return the number of elements in a vector."""
    return LINE // itemsize


def registers() -> tuple[str | None, int | None]:
    """Return the name and the bytes of the vector registers that Numba compiles for; None if they are not known.

    ``NUMBA_CPU_FEATURES`` chooses other features than this processor's.
    """
    chosen = config.CPU_FEATURES
    if chosen is None:
        try:
            chosen = binding.get_host_cpu_features().flatten()
        except RuntimeError:  # LLVM knows no features of this processor
            chosen = ""
    for feature, name, size in _REGISTERS:
        if f"+{feature}" in chosen.split(","):
            return name, size
    return _OLDEST if platform.machine() in ("x86_64", "AMD64") else (None, None)


def data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the pointer to an array's first element."""
    return context.make_array(kind)(context, builder, array).data


class Vectors:
    """Instructions on vectors of one floating-point type.

    Args:
        context: Numba's target context.
        builder: builder of the function that is being compiled.
        kind: Numba's type of an element, float32 or float64.
        stored: Numba's type of stored weights: ``kind``, or uint16 for pairs of bfloat16.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, stored: Any) -> None:
        self.builder = builder
        self.lanes = lanes(kind.bitwidth // 8)
        self.paired = stored == types.uint16
        self._item = kind.bitwidth // 8
        self.type = ir.VectorType(context.get_value_type(kind), self.lanes)
        self._bits = ir.VectorType(ir.IntType(32), self.lanes)
        name = f"llvm.fmuladd.v{self.lanes}f{kind.bitwidth}"
        self._fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(self.type, [self.type] * 3), name)

    def zero(self) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(self.type, [0.0] * self.lanes)

    def load(self, pointer: Any, at: int = 0) -> Any:
        """Return the vector ``at`` elements behind a pointer to an element."""
        return self._load(pointer, at, self.type)

    def store(self, vector: Any, pointer: Any, at: int = 0) -> None:
        """Store a vector ``at`` elements behind a pointer to an element."""
        where = self.builder.gep(pointer, [INT(at)])
        self.builder.store(vector, self.builder.bitcast(where, self.type.as_pointer()), align=self._item)

    def pairs(self, pointer: Any, at: int) -> tuple[Any, Any]:
        """Return two vectors of bfloat16 stored in pairs: the low halves of 32 bits, then the high halves."""
        both = self._load(pointer, at, self._bits)
        low = self.builder.shl(both, ir.Constant(self._bits, [16] * self.lanes))
        high = self.builder.and_(both, ir.Constant(self._bits, [0xFFFF0000] * self.lanes))
        return self.builder.bitcast(low, self.type), self.builder.bitcast(high, self.type)

    def splat(self, pointer: Any) -> Any:
        """Return a vector whose elements all are the one at a pointer."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, self.builder.load(pointer), ir.IntType(32)(0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(self._bits, [0] * self.lanes))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c, rounded once where the processor can."""
        return self.builder.call(self._fma, [a, b, c])

    def _load(self, pointer: Any, at: int, kind: Any) -> Any:
        where = self.builder.bitcast(self.builder.gep(pointer, [INT(at)]), kind.as_pointer())
        return self.builder.load(where, align=2 if self.paired else self._item)

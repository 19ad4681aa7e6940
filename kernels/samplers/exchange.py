"""Exchange of partial sums between two threads that run the same native loop, each with a share of the weights.

Each thread has a box with two places, used in turn, and a counter in a cache line of its own. It puts numbers into its
box, then raises its counter (a release), and spins until the other's counter has the same value (an acquire). When a
thread begins exchange n + 2, the other has begun n + 1 and so has read what is overwritten. A thread that spins for
long yields the processor, since the other may have been preempted, and looks whether it should give up.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from arbench.kernels.core import numba_rows
from arbench.kernels.core.numba_rows import compiled
from arbench.kernels.samplers import vectors
from arbench.kernels.samplers.vectors import LINE, ZERO, data

COUNTER = LINE // 8
"""Distance between counters, in int64, so that each has a cache line of its own."""
STOP = 2 * COUNTER
"""Place of the counter that ends both threads when it is not 0."""
COUNTERS = 3 * COUNTER
PATIENCE = 256
"""Looks at the other's counter before the processor is yielded."""
HELPERS = numba_rows.sources(vectors)
"""See ``numba_rows.sources``."""
_X86 = platform.machine() in ("x86_64", "AMD64")


@intrinsic
def _publish(context, counters, at, value):
    def generate(context, builder, signature, args):
        where = builder.gep(data(context, builder, signature.args[0], args[0]), [args[1]])
        builder.store_atomic(args[2], where, ordering="release", align=8)
        return context.get_dummy_value()

    return types.void(counters, types.int64, types.int64), generate


@intrinsic
def _look(context, counters, at):
    def generate(context, builder, signature, args):
        where = builder.gep(data(context, builder, signature.args[0], args[0]), [args[1]])
        return builder.load_atomic(where, ordering="acquire", align=8)

    return types.int64(counters, types.int64), generate


@intrinsic
def _pause(context):
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _yield_processor(context):
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@njit(error_model="numpy", nogil=True)
def wait(counters, thread, value):
    """Wait until a thread's counter has reached a value; return False if both threads should end instead."""
    while True:
        for _ in range(PATIENCE):
            if _look(counters, thread * COUNTER) >= value:
                return True
            _pause()
        if _look(counters, STOP):
            return False
        _yield_processor()


@njit(error_model="numpy", nogil=True)
def exchange(counters, boxes, thread, number, part, at, stride, size, rows):
    """Add what the other thread passes; return False if both threads should end instead.

    Args:
        counters: int64 (COUNTERS,).
        boxes: (2, 2, at least rows * size): by thread and place.
        thread: 0 or 1, the caller.
        number: how many exchanges there have been, with this one: 1, 2, ...
        part: memory of the vectors that are passed, and replaced by the sums, the same for both; vector r begins at
            at + r stride.
        at: see ``part``.
        stride: see ``part``.
        size: how many numbers a vector has.
        rows: number of vectors.
    """
    mine, other = boxes[thread, number % 2], boxes[1 - thread, number % 2]
    for row in range(rows):
        first, place = at + row * stride, row * size
        b_part, b_mine = part[first : first + size], mine[place : place + size]
        for i in range(size):
            b_mine[i] = b_part[i]
    _publish(counters, thread * COUNTER, number)
    if not wait(counters, 1 - thread, number):
        return False
    for row in range(rows):
        first, place = at + row * stride, row * size
        b_part, b_other = part[first : first + size], other[place : place + size]
        for i in range(size):
            b_part[i] += b_other[i]
    return True


@compiled()
def exchanges(counters, boxes, thread, number, part, count, helpers=HELPERS):
    """Exchange all of ``part`` ``count`` times, one after the other, first with this ``number``; see ``exchange``."""
    end, now, size = number + count, number, len(part)
    while now < end and exchange(counters, boxes, thread, now, part, ZERO, size, size, 1):
        now += 1
    return now == end


def stop(counters: np.ndarray) -> None:
    """End both threads at their next long wait."""
    counters[STOP] = 1

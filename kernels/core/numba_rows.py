"""Rows of logits on a CPU, compiled by Numba: a maximum and a sum of exponentials in one reading of memory.

PyTorch reads and writes each row several times, and a scalar ``exp`` is not vectorised. Here the two passes
over a row (its maximum, then the sum) find it in the nearest cache, and the exponential is plain arithmetic
that LLVM turns into vector instructions: x = n log 2 + r with |r| at most (log 2) / 2, a polynomial in r, and
n added to the exponent's bits. Its error is below 1 unit in the last place for x above -16, and grows to 4
units for float32 at -87; below the smallest normal number it is 0.

Maxima are taken of bits that are ordered as the numbers are, since integers vectorise whatever NaN there is.
Imported where it is needed: Numba takes half a second to import, and a first call compiles and is cached.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

WORTH_A_THREAD = 2**18
"""Logits below which a second thread costs more than it brings."""


def compiled(*flags: str) -> Callable[..., Any]:
    """Compiles a function when it is called, and caches the machine code where a folder can be written."""
    options: dict[str, Any] = dict(nogil=True, error_model="numpy", fastmath=set(flags))

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # neither the folder of this file nor the user's cache can be written
            return njit(**options)(function)

    return decorate


def _instruction(made: Callable[..., Any]) -> Any:
    return intrinsic(made)


def _width(kind: Any) -> int:
    return 32 if kind == types.float32 else 64


def _flip(builder: Any, bits: Any) -> Any:
    """Turns the order of the bits of floating-point numbers into that of integers, and back."""
    n = bits.type.width
    return builder.xor(bits, builder.and_(builder.ashr(bits, bits.type(n - 1)), bits.type(2 ** (n - 1) - 1)))


@_instruction
def _ordered(context: Any, x: Any) -> Any:
    n = _width(x)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _flip(builder, builder.bitcast(args[0], ir.IntType(n)))

    return (types.int32 if n == 32 else types.int64)(x), generate


@_instruction
def _number(context: Any, bits: Any) -> Any:
    """Inverse of ``_ordered``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(_flip(builder, args[0]), context.get_value_type(signature.return_type))

    return (types.float32 if bits == types.int32 else types.float64)(bits), generate


@_instruction
def _larger(context: Any, a: Any, b: Any) -> Any:
    """max(a, b) of integers, without the widening to 64 bits that Numba's own has."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *args), *args)

    return a(a, b), generate


@_instruction
def _times_power(context: Any, p: Any, t: Any) -> Any:
    """p 2^n, where n stands in the lowest bits of t."""
    n = _width(p)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(n)
        bits, shifted = (builder.bitcast(arg, integer) for arg in args)
        power = builder.shl(shifted, integer(23 if n == 32 else 52))
        return builder.bitcast(builder.add(bits, power), args[0].type)

    return p(p, p), generate


_F = np.float32
_INVERSE32, _MAGIC32, _LOG2_32, _LEAST32 = _F(1 / math.log(2)), _F(1.5 * 2**23), _F(math.log(2)), _F(-87)
_ZERO32, _ONE32 = _F(0), _F(1)
_P2, _P3, _P4, _P5, _P6 = map(
    _F,
    (0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.008368716575205326, 0.001381459878757596),
)
"""Of (e^r - 1 - r) / r^2 over |r| <= (log 2) / 2, with the least relative error of e^r there: 3e-9."""
_INVERSE64, _MAGIC64, _LEAST64 = 1 / math.log(2), 1.5 * 2**52, -708.0
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_T = tuple(1 / math.factorial(k) for k in range(14))


def exp(x: Any) -> Any:
    """e^x of a float32 or float64 number that is not above 0, in code compiled by Numba."""
    raise NotImplementedError("only for compiled code")


@overload(exp, jit_options={"fastmath": {"contract"}, "forceinline": True})
def _exp(x: Any) -> Any:
    def single(x: Any) -> Any:
        t = x * _INVERSE32 + _MAGIC32
        r = x - (t - _MAGIC32) * _LOG2_32
        p = ((((_P6 * r + _P5) * r + _P4) * r + _P3) * r + _P2) * r + _ONE32
        y = _times_power(p * r + _ONE32, t)
        return _ZERO32 if x < _LEAST32 else y

    def double(x: Any) -> Any:
        t = x * _INVERSE64 + _MAGIC64
        n = t - _MAGIC64
        r = (x - n * _LOG2_HIGH) - n * _LOG2_LOW
        p = (((_T[13] * r + _T[12]) * r + _T[11]) * r + _T[10]) * r + _T[9]
        p = ((((p * r + _T[8]) * r + _T[7]) * r + _T[6]) * r + _T[5]) * r + _T[4]
        y = _times_power((((p * r + _T[3]) * r + _T[2]) * r + 1.0) * r + 1.0, t)
        return 0.0 if x < _LEAST64 else y

    return single if x == types.float32 else double


@compiled("reassoc", "contract")
def sums(x, width, starts, index, tops, totals, picked, begin, end):
    """Of rows ``begin`` to ``end`` of a flat array: the maximum, the sum of exponentials below it, and how
    far below it the class ``index`` is."""
    for row in range(begin, end):
        b_x = x[starts[row] : starts[row] + width]
        bits = _ordered(b_x[0])
        for j in range(width):
            bits = _larger(bits, _ordered(b_x[j]))
        top = _number(bits)
        total = x.dtype.type(0)
        for j in range(width):
            total += exp(b_x[j] - top)
        tops[row] = top
        totals[row] = total
        picked[row] = b_x[index[row]] - top


@compiled("contract")
def gradients(x, width, starts, index, live, dy, tops, log_totals, dx, begin, end):
    """Writes dy ([j = index] - softmax(x)_j) into rows of a contiguous ``dx``; 0 where a row is not live."""
    for row in range(begin, end):
        b_x = x[starts[row] : starts[row] + width]
        b_d = dx[row * width : row * width + width]
        if not live[row]:
            b_d[:] = 0
            continue
        b_g, top, log_total = dy[row], tops[row], log_totals[row]
        for j in range(width):
            b_d[j] = -b_g * exp(b_x[j] - top - log_total)
        b_d[index[row]] += b_g


@njit(error_model="numpy", forceinline=True)
def _scaled(x, inverse):
    """A product that is rounded, never fused into what follows: scores must compare as PyTorch's do."""
    return x * inverse


@njit(error_model="numpy", forceinline=True)
def _score(x, inverse, z, infinity):
    score = _scaled(x, inverse) + z
    return score if score == score else infinity


@compiled("reassoc", "contract")
def draws(x, width, starts, noise, noise_starts, inverse, index, totals, log_probs, begin, end):
    """Of rows ``begin`` to ``end``: the first class of the highest score, the sum of exponentials below the
    maximum of the scaled logits, and how far below it the drawn class is."""
    infinity, none = x.dtype.type(np.inf), np.int32(-width)
    for row in range(begin, end):
        b_x = x[starts[row] : starts[row] + width]
        b_z = noise[noise_starts[row] : noise_starts[row] + width]
        bits = _ordered(_scaled(b_x[0], inverse))
        best_bits = _ordered(_score(b_x[0], inverse, b_z[0], infinity))
        for j in range(width):
            bits = _larger(bits, _ordered(_scaled(b_x[j], inverse)))
            best_bits = _larger(best_bits, _ordered(_score(b_x[j], inverse, b_z[j], infinity)))
        top, best = _number(bits), _number(best_bits)
        place = none
        for j in range(width):
            score = _score(b_x[j], inverse, b_z[j], infinity)
            place = _larger(place, np.int32(-j) if score == best else none)
        total = x.dtype.type(0)
        for j in range(width):
            total += exp(_scaled(b_x[j], inverse) - top)
        index[row] = -place
        totals[row] = total
        log_probs[row] = _scaled(b_x[-place], inverse) - top


def demand(name: str, **tensors: torch.Tensor) -> None:
    """Demands what this path can read.

    Raises:
        TypeError: not float32 or float64.
        ValueError: a last axis with gaps.
    """
    for key, x in tensors.items():
        if x.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name}: the Numba path needs float32 or float64 {key}, not {x.dtype}")
        if x.shape[-1] > 1 and x.stride(-1) != 1:
            gap = x.stride(-1)
            raise ValueError(f"{name}: the Numba path needs {key} without gaps along the last axis, not {gap} apart")


def flat(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The memory of a tensor (..., V) whose last axis is contiguous, and where in it each row starts."""
    starts = torch.zeros((), dtype=torch.int64)
    for size, stride in zip(x.shape[:-1], x.stride()[:-1], strict=True):
        starts = starts[..., None] + torch.arange(size) * stride
    if x.numel() == 0:
        return x.detach().view(-1).numpy(), starts.flatten().numpy()
    span = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((span,), (1,)).numpy(), starts.flatten().numpy()


def over_rows(run: Callable[..., None], rows: int, width: int, *args: Any) -> None:
    """Calls ``run(*args, begin, end)`` for all rows, in as many threads as PyTorch may use."""
    threads = min(torch.get_num_threads(), -(-rows * width // WORTH_A_THREAD), rows)
    if threads <= 1:
        run(*args, 0, rows)
        return
    edges = [rows * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, *args, *edges[i : i + 2]) for i in range(threads)]:
            done.result()

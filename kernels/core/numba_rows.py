"""Rows of logits on a CPU, compiled by Numba: a maximum and a sum of exponentials in one reading of memory.

PyTorch reads and writes each row several times, and a scalar ``exp`` is not vectorised. Here the second pass
over a row (the sum, after the maximum) finds it in the L1 cache, and the exponential is plain arithmetic that
LLVM turns into vector instructions: x = n log 2 + r with |r| at most (log 2) / 2, a polynomial in r, and n
added to the exponent's bits. Its error is below 1 unit in the last place for x above -16 and grows to 4 units
for float32 at -87; results below the smallest normal number are 0.

Maxima are taken over the bits as integers in the order of the numbers, because integer maxima vectorise
whether or not there are NaNs. Import this module only where it is called: importing Numba takes half a second.
The first call compiles; the machine code is cached.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

WORTH_A_THREAD = 2**18
"""Number of logits below which a second thread costs more than it gains."""
UNCACHED = (
    f"compiled code cannot be cached in {Path(__file__).parents[1]}, nor in the user's cache, so every process "
    "compiles its own"
)
REMEDY = "set NUMBA_CACHE_DIR to a folder that can be written"


def compiled(*flags: str) -> Callable[..., Any]:
    """Return a decorator that compiles a function at its first call and caches the machine code if it can."""
    options: dict[str, Any] = dict(nogil=True, error_model="numpy", fastmath=set(flags))

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # neither this file's folder nor the user's cache is writable
            _warn_uncached()
            return njit(**options)(function)

    return decorate


@cache  # once in a process
def _warn_uncached() -> None:
    # the line of the code that called arbench, since one in here means nothing to a user
    frame, level = inspect.currentframe(), 0
    while frame is not None:
        name = frame.f_globals["__name__"]
        level += not name.startswith("importlib._bootstrap")  # which warnings do not count
        if name.partition(".")[0] not in ("arbench", "importlib"):
            break
        frame = frame.f_back
    warnings.warn(f"{UNCACHED}; {REMEDY}", RuntimeWarning, stacklevel=level)


def uncached() -> str | None:
    """Return what a user should know where compiled code could not be cached; None where it could."""
    return UNCACHED if _warn_uncached.cache_info().currsize else None


def sources(*modules: ModuleType) -> str:
    """Return a hash of the other files that compiled code comes from, for the default of one of its arguments.

    Defaults are part of the signature by which Numba finds cached code; Numba itself looks at the file of the function
    alone.
    """
    return hashlib.sha256("".join(map(inspect.getsource, modules)).encode()).hexdigest()


def _instruction(made: Callable[..., Any]) -> Any:
    return intrinsic(made)


def _width(kind: Any) -> int:
    return 32 if kind == types.float32 else 64


def _flip(builder: Any, bits: Any) -> Any:
    """Convert the bits of a floating-point number to an integer of the same order, or back."""
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
    """Return the number that ``_ordered`` converted."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(_flip(builder, args[0]), context.get_value_type(signature.return_type))

    return (types.float32 if bits == types.int32 else types.float64)(bits), generate


@_instruction
def _larger(context: Any, a: Any, b: Any) -> Any:
    """Return max(a, b) of integers; Numba's own would widen them to 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *args), *args)

    return a(a, b), generate


@_instruction
def _times_power(context: Any, p: Any, t: Any) -> Any:
    """Return p 2^n, where n is in the lowest bits of t."""
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
"""Coefficients of (e^r - 1 - r) / r^2 for |r| <= (log 2) / 2, which minimise the relative error of e^r: 3e-9."""
_INVERSE64, _MAGIC64, _LEAST64 = 1 / math.log(2), 1.5 * 2**52, -708.0
_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_T = tuple(1 / math.factorial(k) for k in range(14))


def exp(x: Any) -> Any:
    """Return e^x for a float32 or float64 number x <= 0, in code compiled by Numba."""
    raise NotImplementedError("exp runs only in code compiled by Numba; call it from an njit function")


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
    """Fill ``tops``, ``totals`` and ``picked`` for rows ``begin`` to ``end`` of a flat array.

    These are the maximum, the sum of exp(x - maximum), and the logit of class ``index`` minus the maximum.
    """
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
    """Write dy ([j = index] - softmax(x)_j) to rows of a contiguous ``dx``; 0 for rows that are not live."""
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
    """Return a rounded product, never fused with a later addition, so that scores compare as PyTorch's do."""
    return x * inverse


@njit(error_model="numpy", forceinline=True)
def _score(x, inverse, z, infinity):
    score = _scaled(x, inverse) + z
    return score if score == score else infinity


@njit(error_model="numpy", forceinline=True)
def first_highest(x, z, inverse, width):
    """Return the first class of the highest score x inverse + z, where NaN is highest, and the largest x inverse."""
    infinity, none = x.dtype.type(np.inf), np.int32(-width)
    bits = _ordered(_scaled(x[0], inverse))
    best_bits = _ordered(_score(x[0], inverse, z[0], infinity))
    for j in range(width):
        bits = _larger(bits, _ordered(_scaled(x[j], inverse)))
        best_bits = _larger(best_bits, _ordered(_score(x[j], inverse, z[j], infinity)))
    best, place = _number(best_bits), none
    for j in range(width):
        place = _larger(place, np.int32(-j) if _score(x[j], inverse, z[j], infinity) == best else none)
    return -place, _number(bits)


@compiled("reassoc", "contract")
def draws(x, width, starts, noise, noise_starts, inverse, index, totals, log_probs, begin, end):
    """Fill ``index``, ``totals`` and ``log_probs`` for rows ``begin`` to ``end``.

    These are the first class of the highest score, the sum of exp(scaled logit - maximum), and the scaled logit
    of the drawn class minus the maximum.
    """
    for row in range(begin, end):
        b_x = x[starts[row] : starts[row] + width]
        b_z = noise[noise_starts[row] : noise_starts[row] + width]
        drawn, top = first_highest(b_x, b_z, inverse, width)
        total = x.dtype.type(0)
        for j in range(width):
            total += exp(_scaled(b_x[j], inverse) - top)
        index[row] = drawn
        totals[row] = total
        log_probs[row] = _scaled(b_x[drawn], inverse) - top


def check(name: str, **tensors: torch.Tensor) -> None:
    """Check that tensors suit the Numba backend.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: a last axis that is not contiguous.
    """
    for key, x in tensors.items():
        if x.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name}: the Numba backend needs float32 or float64 {key}, not {x.dtype}")
        if x.shape[-1] > 1 and x.stride(-1) != 1:
            raise ValueError(
                f"{name}: the Numba backend needs {key} contiguous along the last axis, whose stride is {x.stride(-1)}"
            )


def flat(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the memory of a tensor (..., V) contiguous along its last axis, and the index where each row starts."""
    if x.is_contiguous():  # at once: for a few short rows this takes longer than the arithmetic
        return x.detach().view(-1).numpy(), np.arange(math.prod(x.shape[:-1]), dtype=np.int64) * x.shape[-1]
    starts = torch.zeros((), dtype=torch.int64)
    for size, stride in zip(x.shape[:-1], x.stride()[:-1], strict=True):
        starts = starts[..., None] + torch.arange(size) * stride
    if x.numel() == 0:
        return x.detach().view(-1).numpy(), starts.flatten().numpy()
    span = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.detach().as_strided((span,), (1,)).numpy(), starts.flatten().numpy()


def over_rows(run: Callable[..., None], rows: int, width: int, *args: Any) -> None:
    """Call ``run(*args, begin, end)`` for all rows, in at most as many threads as PyTorch may use."""
    threads = min(torch.get_num_threads(), -(-rows * width // WORTH_A_THREAD), rows)
    if threads <= 1:
        run(*args, 0, rows)
        return
    edges = [rows * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, *args, *edges[i : i + 2]) for i in range(threads)]:
            done.result()

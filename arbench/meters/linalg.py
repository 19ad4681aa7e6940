"""Formulas for dense linear algebra, Fourier transforms and the bilinear product.

Conventions:
    - A solve with a triangular matrix of n rows is a recurrence: each unknown waits for the one before, so it counts n
      links. So does a factorisation (Cholesky, LU, QR), column by column. Solvers and inverses are what they consist
      of: LU and two triangular solves are 3n links.
    - FLOPs are the usual leading terms: n^2 for each right-hand side of a triangular solve, n^3 / 3 for Cholesky,
      2 n^3 / 3 for LU, 2 n^2 (m - n / 3) for QR; 5 n log2 n for a Fourier transform of n, half of it if one side is
      real.
    - What iterates until it converges (eigenvalues, singular values) or chooses its steps by the values (matrix
      exponential, least squares) has neither: its depth and FLOPs are unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from arbench.meters.opaque import register_opaque

aten = torch.ops.aten


def _rows(a: Tensor) -> int:
    return max(a.size(-1), 1)


def _of_matrices(a: Tensor, each: float) -> int:
    """Return a sum of FLOPs over a batch of matrices."""
    return prod(a.shape[:-2]) * round(each)


def _solve_flops(b: Tensor, a: Tensor, passes: int) -> int:
    """Return the FLOPs of passes of substitution over right-hand sides (..., n, k)."""
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return passes * prod(batch) * a.size(-1) * b.size(-2) * b.size(-1)


def _lu_flops(a: Tensor, *_: Any, **__: Any) -> int:
    m, n = a.shape[-2:]
    k = min(m, n)
    return _of_matrices(a, 2 * m * n * k - (m + n) * k**2 + 2 * k**3 / 3)


def _qr_flops(a: Tensor, *_: Any, **__: Any) -> int:
    m, n = max(a.shape[-2:]), min(a.shape[-2:])
    return _of_matrices(a, 2 * n**2 * (m - n / 3))


def _q_flops(a: Tensor, reflectors: int, columns: int) -> int:
    """Return the FLOPs of multiplying reflectors of m rows out into some columns."""
    m, k = a.size(-2), reflectors
    return _of_matrices(a, 4 * m * columns * k - 2 * (m + columns) * k**2 + 4 * k**3 / 3)


def _whole_qr_depth(a: Tensor, mode: str = "reduced", **_: Any) -> int:
    return max(min(a.shape[-2:]), 1) * (1 if mode == "r" else 2)


def _whole_qr_flops(a: Tensor, mode: str = "reduced", **_: Any) -> int:
    columns = a.size(-2) if mode == "complete" else min(a.shape[-2:])
    return _qr_flops(a) + (0 if mode == "r" else _q_flops(a, min(a.shape[-2:]), columns))


def _solved(a: Tensor, b: Tensor, left: bool) -> Tensor:
    """Return the right-hand sides as columns; one vector is one column."""
    if b.dim() == 1 or b.shape == a.shape[:-1]:
        b = b.unsqueeze(-1)
    return b if left else b.mT


def _general_flops(a: Tensor, b: Tensor, *, left: bool = True, **_: Any) -> int:
    return _lu_flops(a) + _solve_flops(_solved(a, b, left), a, 2)


def _triangular_flops(a: Tensor, b: Tensor, *, left: bool = True, **_: Any) -> int:
    return _solve_flops(_solved(a, b, left), a, 1)


def _trilinear_pairs(
    i1: Tensor, i2: Tensor, i3: Tensor, expand1: Any, expand2: Any, expand3: Any, sums: Any, unroll: int = 1
) -> tuple[int, int]:
    """Return the FLOPs of the two products that make a trilinear one; a product that sums nothing is element-wise."""
    sizes: list[list[int]] = []
    for tensor, expanded in ((i1, expand1), (i2, expand2), (i3, expand3)):
        given = iter(tensor.shape)
        sizes.append([1 if at in expanded else next(given) for at in range(tensor.dim() + len(expanded))])
    first = [max(pair) for pair in zip(*sizes[:2], strict=True)]
    both = [max(pair) for pair in zip(first, sizes[2], strict=True)]
    early = [at for at in sums if at in expand3 and at != unroll]
    pair = 2 * prod(first) if early else 0
    rest = [1 if at in early else size for at, size in enumerate(both)]
    return pair, 2 * prod(rest) if len(early) < len(sums) else 0


def _trilinear_flops(*args: Any, **kwargs: Any) -> int:
    return sum(_trilinear_pairs(*args, **kwargs))


def _trilinear_depth(*args: Any, **kwargs: Any) -> int:
    return 2


def _fourier_flops(share: float) -> Callable[..., int]:
    def flops(x: Tensor, dim: Any, normalization: int, last: Any, **_: Any) -> int:
        lengths = [x.size(at) for at in dim]
        count = x.numel()
        if share < 1 and last is not True and last is not False:  # to real numbers of a length of its own
            count, lengths[-1] = count // max(lengths[-1], 1) * last, last
        # the FLOPs of complex tensors are multiplied afterwards, and these are of complex numbers already
        found = 5 * share * count * math.log2(max(prod(lengths), 1))
        return round(found / 4 if x.is_complex() else found)

    return flops


def _register(name: str, depth: Callable[..., int], flops: Callable[..., int]) -> None:
    packet = getattr(aten, name, None)  # None: another version of PyTorch
    for overload in packet.overloads() if packet else ():
        register_opaque(getattr(packet, overload), depth, flops)


def _depth(passes: int, extra: int = 0) -> Callable[..., int]:
    return lambda a, *_, **__: passes * _rows(a) + extra


def _second(passes: int) -> Callable[..., int]:
    """Return the depth of a solve whose second argument is the matrix."""
    return lambda b, a, *_, **__: passes * _rows(a)


def _reflected(a: Tensor, tau: Tensor, *_: Any, **__: Any) -> int:
    return max(tau.size(-1), 1)


def _shortest(a: Tensor, *_: Any, **__: Any) -> int:
    return max(min(a.shape[-2:]), 1)


def _cubes(share: float) -> Callable[..., int]:
    return lambda a, *_, **__: _of_matrices(a, share * a.size(-1) ** 3)


_register("linalg_solve_triangular", _depth(1), _triangular_flops)
_register("triangular_solve", _second(1), lambda b, a, *_, **__: _solve_flops(b, a, 1))
_register("cholesky_solve", _second(2), lambda b, a, *_, **__: _solve_flops(b, a, 2))
_register("linalg_lu_solve", _depth(2), lambda lu, _, b, *, left=True, **__: _solve_flops(_solved(lu, b, left), lu, 2))
_register("linalg_ldl_solve", _depth(2), lambda ld, _, b, **__: _solve_flops(b, ld, 2))
_register("_linalg_solve_ex", _depth(3), _general_flops)
_register("linalg_inv_ex", _depth(3), _cubes(2))
_register("linalg_cholesky_ex", _depth(1), _cubes(1 / 3))
_register("cholesky", _depth(1), _cubes(1 / 3))
_register("cholesky_inverse", _depth(2), _cubes(2 / 3))
_register("linalg_ldl_factor_ex", _depth(1), _cubes(1 / 3))
_register("linalg_lu_factor_ex", _shortest, _lu_flops)
_register("linalg_lu", _shortest, _lu_flops)
_register("_linalg_det", _depth(1, 1), _lu_flops)
_register("_linalg_slogdet", _depth(1, 2), _lu_flops)
_register("linalg_qr", _whole_qr_depth, _whole_qr_flops)
_register("geqrf", _shortest, _qr_flops)
_register("linalg_householder_product", _reflected, lambda a, tau, **_: _q_flops(a, tau.size(-1), a.size(-1)))
_register("ormqr", _reflected, lambda a, tau, c, *_, **__: 4 * prod(c.shape) * tau.size(-1))
_register("_trilinear", _trilinear_depth, _trilinear_flops)
_register("_fft_c2c", lambda *_, **__: 1, _fourier_flops(1))
_register("_fft_r2c", lambda *_, **__: 1, _fourier_flops(0.5))
_register("_fft_c2r", lambda *_, **__: 1, _fourier_flops(0.5))

"""The roofline: the shortest time in which a machine can move given bytes and do given arithmetic.

Williams, Waterman and Patterson, *Roofline: an insightful visual performance model for multicore
architectures*, 2009: data movement and arithmetic overlap, so the slower of the two is the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Roof:
    """The limit of a piece of work: its kind, and the shortest possible time."""

    bound: Literal["memory", "compute"]
    limit_s: float
    """Shortest possible time; divided by a measured time it is the fraction of the limit that was reached."""
    gb_per_s: float
    """Bandwidth at its working set, in 10^9 bytes a second."""
    gflop_per_s: float
    """Peak of its dtype, in 10^9 FLOP a second."""


def bandwidth(limits: Mapping[str, Any], working_set: int, kinds: Sequence[str] = ("copy", "read")) -> float | None:
    """Return the best measured bandwidth at a working set, in GB/s; None if none was measured.

    It is the better of the kinds of access, interpolated between two measured sets by the logarithm of their size.
    A set for which a larger one has a higher bandwidth gets the higher one.

    Args:
        limits: ``copy`` and ``read``, lists of ``{"bytes", "gb_per_s"}``, as in a results file.
        working_set: bytes that a call accesses.
        kinds: "copy", "read" or both.
    """
    rates = [_at(limits.get(kind, ()), working_set) for kind in kinds]
    return max((rate for rate in rates if rate is not None), default=None)


def _at(points: Sequence[Mapping[str, float]], working_set: int) -> float | None:
    known = sorted((point["bytes"], point["gb_per_s"]) for point in points)
    if not known:
        return None
    below = [point for point in known if point[0] <= working_set]
    above = [point for point in known if point[0] > working_set]
    if not above:
        return below[-1][1]
    best = max(rate for _, rate in above)
    if not below:
        return best
    (size0, rate0), (size1, rate1) = below[-1], above[0]
    share = math.log(working_set / size0) / math.log(size1 / size0)
    return max(best, rate0 + share * (rate1 - rate0))


def product(limits: Mapping[str, Any], dtype: str) -> float | None:
    """Return the best measured rate of matrix products of a dtype, in GFLOP/s; None if none was measured.

    A float32 product can be computed as three TF32 products (Ootomo and Yokota, *Recovering single precision
    accuracy from Tensor Cores while surpassing the FP32 theoretical peak performance*, 2022), which is faster on
    many GPUs.

    Args:
        limits: ``matmul``, by dtype and ``tf32``, as in a results file.
        dtype: name of the dtype, for example ``float32``.
    """
    rates = limits.get("matmul") or {}
    if dtype == "float32" and "tf32" in rates:
        return max(rates.get(dtype, 0.0), rates["tf32"] / 3)
    return rates.get(dtype)


def roof(
    bytes: int,
    flops: int,
    limits: Mapping[str, Any],
    dtype: str,
    working_set: int | None = None,
    kinds: Sequence[str] = ("copy", "read"),
) -> Roof | None:
    """Return the lower of the two roofs of a piece of work.

    Args:
        bytes: smallest number of bytes that it must move.
        flops: smallest number of FLOPs that it must do.
        limits: ``copy``, ``read`` and ``matmul``, as in a results file.
        dtype: name of the dtype of the arithmetic.
        working_set: bytes that repeated calls access, if they do not access the same ``bytes`` each time.
        kinds: kinds of access that move the bytes, as for ``bandwidth``.

    Returns:
        The roof; None where the bandwidth or the peak of the dtype was not measured, or there is no work.
    """
    rate, peak = bandwidth(limits, working_set or bytes, kinds), product(limits, dtype)
    if not rate or not peak or bytes + flops <= 0:
        return None
    moving, computing = bytes / rate * 1e-9, flops / peak * 1e-9
    bound: Literal["memory", "compute"] = "memory" if moving >= computing else "compute"
    return Roof(bound, max(moving, computing), rate, peak)

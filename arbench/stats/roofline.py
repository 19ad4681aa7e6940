"""The roofline: the least time a machine needs to move so many bytes and do so much arithmetic.

Williams, Waterman and Patterson, *Roofline: an insightful visual performance model for multicore
architectures*, 2009: moving and computing overlap, so the slower of the two is the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Roof:
    """What limits a piece of work, and how fast it could be done."""

    bound: Literal["memory", "compute"]
    limit_s: float
    """The shortest time; over a measured one it is the fraction of the limit that was reached."""
    gb_per_s: float
    """The bandwidth that holds for its working set, 10^9 bytes a second."""
    gflop_per_s: float
    """The peak of its dtype, 10^9 FLOP a second."""


def bandwidth(limits: Mapping[str, Any], working_set: int) -> float | None:
    """The best bandwidth that was measured for a working set, in GB/s; None where none was.

    The better of copying and reading, between two measured sets by the logarithm of their size. A set that a
    larger one outdoes is granted the larger one's.

    Args:
        limits: ``copy`` and ``read``, lists of ``{"bytes", "gb_per_s"}``, as a results file has them.
        working_set: bytes that a call goes over.
    """
    rates = [_at(limits.get(kind, ()), working_set) for kind in ("copy", "read")]
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
    """The best rate that was measured for matrix products of a dtype, in GFLOP/s; None where none was.

    One of float32 can be made of three in TF32 (Ootomo and Yokota, *Recovering single precision accuracy from
    Tensor Cores while surpassing the FP32 theoretical peak performance*, 2022), which is faster on many GPUs.

    Args:
        limits: ``matmul``, by dtype and ``tf32``, as a results file has it.
    """
    rates = limits.get("matmul") or {}
    if dtype == "float32" and "tf32" in rates:
        return max(rates.get(dtype, 0.0), rates["tf32"] / 3)
    return rates.get(dtype)


def roof(bytes: int, flops: int, limits: Mapping[str, Any], dtype: str, working_set: int | None = None) -> Roof | None:
    """The lower of the two roofs over a piece of work.

    Args:
        bytes: that it must move at least.
        flops: that it must do at least.
        limits: ``copy``, ``read`` and ``matmul``, as a results file has them.
        dtype: whose peak holds.
        working_set: bytes that repeated calls go over, if not the same ``bytes`` each time.

    Returns:
        None where the bandwidth or the peak of the dtype was not measured, or there is nothing to do.
    """
    rate, peak = bandwidth(limits, working_set or bytes), product(limits, dtype)
    if not rate or not peak or bytes + flops <= 0:
        return None
    moving, computing = bytes / rate * 1e-9, flops / peak * 1e-9
    bound: Literal["memory", "compute"] = "memory" if moving >= computing else "compute"
    return Roof(bound, max(moving, computing), rate, peak)

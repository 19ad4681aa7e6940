"""Standard distributions that are shifted and scaled: normal, logistic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Family:
    """A standard distribution.

    Args:
        log_density: log-density, elementwise.
        cdf: distribution function, elementwise.
        reach: distance from 0 beyond which at most 1e-16 of the mass lies.
    """

    log_density: Callable[[Tensor], Tensor]
    cdf: Callable[[Tensor], Tensor]
    reach: float


def log_sigma(t: Tensor) -> Tensor:
    """Return log(1 / (1 + exp(-t))), with no exponent above 0."""
    return t.clamp_max(0) - (-t.abs()).exp().log1p()


GAUSSIAN = Family(
    lambda t: -(t * t + math.log(2 * math.pi)) / 2,
    lambda t: torch.erfc(-t / math.sqrt(2)) / 2,
    9.0,
)
"""exp(-t^2 / 2) / sqrt(2 pi)."""
LOGISTIC = Family(
    lambda t: -t.abs() - 2 * (-t.abs()).exp().log1p(),
    lambda t: 1 / (1 + (-t).exp()),
    40.0,
)
"""exp(-t) / (1 + exp(-t))^2, which is even; its distribution function is 1 / (1 + exp(-t))."""

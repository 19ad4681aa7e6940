"""The normal distribution: continuous and invertible; one Gaussian per audio sample."""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor

from arbench.distributions.location_scale import LocationScale

LOG_SCALE_FLOOR = -9.0
"""Smallest logarithm of a standard deviation, for amplitudes in [-1, 1] (ClariNet)."""


class Normal(LocationScale):
    """Real elements x = mean + exp(log_scale) z with z standard normal; parameters (mean, log_scale).

    Log-scales below -9 are replaced by -9. The noise is the inverse normal distribution function of uniforms.

    Source: Ping et al., *ClariNet*, 2018, section 3.1, for one Gaussian per audio sample and the floor.
    """

    def __init__(self, log_scale_floor: float = LOG_SCALE_FLOOR) -> None:
        super().__init__(log_scale_floor)

    def standard(self, u: Tensor) -> Tensor:
        """Return normal noise."""
        return torch.special.ndtri(u)

    def log_density(self, t: Tensor) -> Tensor:
        """Return the log-density of the standard normal distribution."""
        return -0.5 * t.square() - 0.5 * log(2 * pi)

    def distribution_function(self, t: Tensor) -> Tensor:
        """Return P(Z <= t)."""
        return 0.5 * torch.special.erfc(t * -(0.5**0.5))  # accurate in the lower tail, unlike ndtr

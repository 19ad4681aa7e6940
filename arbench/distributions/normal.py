"""The normal distribution: continuous, with an inverse; one Gaussian an audio sample."""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor

from arbench.distributions.location_scale import LocationScale

LOG_SCALE_FLOOR = -9.0
"""Of a standard deviation, where amplitudes lie in [-1, 1] (ClariNet)."""


class Normal(LocationScale):
    """Real elements x = mean + exp(log_scale) z with z standard normal; parameters (mean, log_scale).

    A log-scale below -9 is taken for -9. Noise is the inverse normal distribution function of uniforms.

    Source: Ping et al., *ClariNet*, 2018, section 3.1, for one Gaussian an audio sample and the floor.
    """

    def __init__(self, log_scale_floor: float = LOG_SCALE_FLOOR) -> None:
        super().__init__(log_scale_floor)

    def standard(self, u: Tensor) -> Tensor:
        return torch.special.ndtri(u)

    def log_density(self, t: Tensor) -> Tensor:
        return -0.5 * t.square() - 0.5 * log(2 * pi)

    def distribution_function(self, t: Tensor) -> Tensor:
        return 0.5 * torch.special.erfc(t * -(0.5**0.5))  # whose lower tail has digits, unlike ndtr

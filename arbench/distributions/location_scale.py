"""Location-scale families: distributions of a real element that shift and scale one standard distribution."""

from __future__ import annotations

from abc import abstractmethod
from math import inf, log

import torch
from torch import Tensor

from arbench.distributions.base import Distribution, at_least_float32


def _distance(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return (x - mean) exp(-log_scale); scales beyond the dtype's smallest and largest normal numbers count as these.

    An overflow would make the distance of an element at the mean NaN, and gradients too.
    """
    widest = -log(torch.finfo(log_scale.dtype).tiny)
    return (x - mean) / log_scale.clamp(-widest, widest).exp()


class LocationScale(Distribution):
    """Real elements x = mean + exp(log_scale) z with z from a standard distribution; parameters (mean, log_scale).

    Probabilities of half precision are computed in float32.

    Args:
        log_scale_floor: value that replaces smaller log-scales, to bound the density; no floor by default.
    """

    finite = False
    params_width = 2
    noise_width = 1

    def __init__(self, log_scale_floor: float = -inf) -> None:
        self.log_scale_floor = log_scale_floor

    @abstractmethod
    def log_density(self, t: Tensor) -> Tensor:
        """Return the log-density of the standard distribution, elementwise."""

    @abstractmethod
    def distribution_function(self, t: Tensor) -> Tensor:
        """Return P(Z <= t) of the standard distribution, elementwise."""

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = params.unbind(-1)
        return mean, log_scale if self.log_scale_floor == -inf else log_scale.clamp_min(self.log_scale_floor)

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Return mean + exp(log_scale) z."""
        mean, log_scale = self._split(params)
        return mean + log_scale.exp() * z.squeeze(-1)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-density of ``x`` in nats."""
        mean, log_scale = self._split(at_least_float32(params))
        return self.log_density(_distance(x, mean, log_scale)) - log_scale

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z = (x - mean) / exp(log_scale), and -log_scale."""
        mean, log_scale = self._split(params)
        return _distance(x, mean, log_scale).unsqueeze(-1), -log_scale

    def cdf(self, params: Tensor, x: Tensor) -> Tensor:
        """Return P(X <= x)."""
        mean, log_scale = self._split(at_least_float32(params))
        return self.distribution_function(_distance(x, mean, log_scale))

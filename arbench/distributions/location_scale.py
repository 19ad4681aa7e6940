"""Location-scale families: distributions of a real element that shift and scale one standard distribution."""

from __future__ import annotations

from abc import abstractmethod
from math import inf

from torch import Tensor

from arbench.distributions.base import Distribution, at_least_float32


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
        return self.log_density((x - mean) * (-log_scale).exp()) - log_scale

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z = (x - mean) exp(-log_scale), and -log_scale."""
        mean, log_scale = self._split(params)
        return ((x - mean) * (-log_scale).exp()).unsqueeze(-1), -log_scale

    def cdf(self, params: Tensor, x: Tensor) -> Tensor:
        """Return P(X <= x)."""
        mean, log_scale = self._split(at_least_float32(params))
        return self.distribution_function((x - mean) * (-log_scale).exp())

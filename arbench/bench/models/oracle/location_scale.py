"""The oracle of a shifted and scaled standard distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.bench.models.oracle.base import Oracle
from arbench.bench.models.oracle.families import Family

STEP = 0.25
"""Distance of quadrature nodes in units of the scale: the trapezoid rule is then exact to 1e-15 for both families."""


def nodes(family: Family, means: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
    """Return places and weights (.., Q) of the trapezoid rule, over the family's reach."""
    count = round(family.reach / STEP)
    t = STEP * torch.arange(-count, count + 1, dtype=means.dtype, device=means.device)
    scale = log_scales.exp().unsqueeze(-1)
    return means.unsqueeze(-1) + scale * t, (STEP * scale).expand(*means.shape, len(t))


class LocationScaleOracle(Oracle):
    """x = m + s z: density of z at (x - m) / s, divided by s; parameters m and log s.

    Args:
        family: distribution of z.
        floor: value that replaces smaller log s.
    """

    width = 2
    noise_width = 1
    family: Family

    def __init__(self, family: Family, floor: float) -> None:
        self.family, self.floor = family, floor

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor]:
        return params[..., 0], params[..., 1].clamp_min(self.floor)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-density."""
        mean, log_scale = self._read(params)
        return self.family.log_density((x - mean) / log_scale.exp()) - log_scale

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return m + s z."""
        mean, log_scale = self._read(params)
        return mean + log_scale.exp() * noise[..., 0]

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return infinity: nothing is decided."""
        return torch.full_like(params[..., 0], torch.inf)

    def quadrature(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Return the trapezoid rule over the reach of the family."""
        return nodes(self.family, *self._read(params))

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z = (x - m) / s, and log |dz/dx| = -log s."""
        mean, log_scale = self._read(params)
        return ((x - mean) / log_scale.exp()).unsqueeze(-1), -log_scale

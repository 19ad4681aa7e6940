"""The oracle of a mixture of logistics over ordered levels."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.bench.models.oracle.base import Oracle, at, lead, log_total, log_weights
from arbench.bench.models.oracle.families import LOGISTIC, log_sigma

FLOOR = -14.0
"""Value that replaces smaller log-scales."""


def log_bin(x: Tensor, means: Tensor, log_scales: Tensor, levels: int) -> Tensor:
    """Return the log-probability that a logistic rounds to level ``x`` of ``levels`` between -1 and 1.

    Between the ends, sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - exp(a - b)).
    """
    step = 2 / (levels - 1)
    middle, scale = -1 + step * x.to(means.dtype), log_scales.exp()
    a, b = (middle - step / 2 - means) / scale, (middle + step / 2 - means) / scale
    lowest, highest = log_sigma(b), log_sigma(-a)
    whole = (-torch.expm1(-step / scale)).log() + lowest + highest
    return torch.where(x <= 0, lowest, torch.where(x >= levels - 1, highest, whole))


def nearest(y: Tensor, levels: int) -> Tensor:
    """Return the level nearest to y in [-1, 1], which may lie beyond."""
    return (((y + 1) / 2 * (levels - 1) + 0.5).floor().clamp(0, levels - 1)).long()


def to_edge(y: Tensor, levels: int) -> Tensor:
    """Return how far y lies from the nearest border of two levels, in units of [-1, 1]."""
    place = (y + 1) / 2 * (levels - 1)
    border = place.floor().clamp(0, levels - 2) + 0.5
    return (place - border).abs() * 2 / (levels - 1)


class DiscretisedOracle(Oracle):
    """Logistics between -1 and 1, rounded to the nearest level, both ends with the whole tail beyond.

    Parameters: K logits, K means, K log-scales. Noise: K Gumbel values that choose the component, one logistic.

    Args:
        levels: number of levels.
        components: number of components, K.
    """

    levels: int

    def __init__(self, levels: int, components: int) -> None:
        self.levels, self.family = levels, LOGISTIC
        self.components = self.choices = components
        self.width, self.noise_width = 3 * components, components + 1

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = self.components
        return params[..., :k], params[..., k : 2 * k], params[..., 2 * k :].clamp_min(FLOOR)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log of the mixture of bins."""
        logits, means, log_scales = self._read(params)
        return log_total(log_weights(logits) + log_bin(x.unsqueeze(-1), means, log_scales, self.levels))

    def _place(self, params: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the draw before it is rounded, and the scale of its component."""
        logits, means, log_scales = self._read(params)
        k = (logits + noise[..., :-1]).max(-1).indices
        scale = at(log_scales, k).exp()
        return at(means, k) + scale * noise[..., -1], scale

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the level nearest to the draw."""
        return nearest(self._place(params, noise)[0], self.levels)

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the smaller of the component's lead and twice the change that reaches another level.

        A change d of mean and log-scale moves a draw by at most (1 + s |z|) (exp(d) - 1).
        """
        y, scale = self._place(params, noise)
        change = (to_edge(y, self.levels) / (1 + scale * noise[..., -1].abs())).log1p()
        return torch.minimum(lead(params[..., : self.components] + noise[..., :-1]), 2 * change)

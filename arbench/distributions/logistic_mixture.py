"""The discretized mixture of logistics over ordered levels."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from arbench.distributions.base import Distribution, at_least_float32, gumbel, kernel_for, logistic

LOG_SCALE_FLOOR = -14.0
"""Value that replaces smaller log-scales."""
LOG_SCALE_CEILING = 60.0
"""Value that replaces larger log-scales in draws, which are then at an end of the levels in either case."""


def log_mass(x: Tensor, means: Tensor, log_scales: Tensor, levels: int) -> Tensor:
    """Return the log-probability of levels under logistics on [-1, 1] rounded to the nearest level.

    The edge bins contain the tails. With ends a and b, s(a) - s(b) = s(a) s(-b) (1 - exp(-w)), where w = a - b is the
    width of a bin in scales: no digit is lost. The logarithm of a narrow width is that of the bin minus the log-scale,
    so it stays finite where w underflows.

    Args:
        x: levels 0 .. levels-1, broadcast against the parameters.
        means: mean of each logistic.
        log_scales: log-scale of each logistic, of the dtype of ``means``.
        levels: number of levels.
    """
    half = 1 / (levels - 1)
    centre = x.to(means.dtype) * (2 * half) - 1 - means
    inverse = (-log_scales).exp()
    below = logsigmoid((centre + half) * inverse)
    above = logsigmoid((half - centre) * inverse)
    shrunk, least = -2 * half * inverse, torch.finfo(means.dtype).eps
    wide = torch.log(-torch.expm1(shrunk.clamp_max(-least)))
    width = torch.where(shrunk > -least, log(2 * half) - log_scales, wide)
    return torch.where(x == 0, below, torch.where(x == levels - 1, above, below + above + width))


def to_level(value: Tensor, levels: int) -> Tensor:
    """Return the level nearest to ``value``, a number on the scale of levels; 0 for NaN."""
    return value.clamp(0, levels - 1).nan_to_num(0.0).round().long()


def to_boundary(value: Tensor, levels: int) -> Tensor:
    """Return the distance of ``value``, on the scale of levels, from a rounding boundary, in units of [-1, 1]."""
    boundary = (value.clamp(0, levels - 1) - 0.5).round().clamp(0, levels - 2) + 0.5
    return (value - boundary).abs() * (2 / (levels - 1))


class DiscretizedLogisticMixture(Distribution):
    """Levels 0 .. levels-1 at 2x/(levels-1) - 1 in [-1, 1]; each bin has the mass of the mixture around it.

    The edge bins contain the whole tails. Parameters (B, M, 3 K): mixture logits, means, log-scales. A draw picks a
    component by Gumbel arg-max, draws the logistic and rounds to the nearest level, so it follows exactly the
    discretized distribution. The noise is one value per component and one for the logistic. Half precision is
    computed in float32.

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1, eq. 1-2; 16-bit audio as in *Parallel
    WaveNet*, 2017, section 2.2.
    """

    finite = True

    def __init__(self, levels: int, components: int) -> None:
        if levels < 2 or components < 1:
            raise ValueError(f"need at least 2 levels and 1 component, got {levels} and {components}")
        self.levels = levels
        self.components = components
        self.params_width = 3 * components
        self.noise_width = components + 1

    def standard(self, u: Tensor) -> Tensor:
        """Return Gumbel noise for the components and logistic noise."""
        return torch.cat([gumbel(u[..., :-1]), logistic(u[..., -1:])], dim=-1)

    def _value(self, params: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the continuous draw on the scale of levels, and the scale of the drawn component."""
        z = at_least_float32(z)
        logits, means, log_scales = at_least_float32(params).chunk(3, dim=-1)
        chosen = (logits + z[..., :-1]).argmax(-1, keepdim=True)
        mean = means.gather(-1, chosen).squeeze(-1)
        scale = log_scales.gather(-1, chosen).squeeze(-1).clamp(LOG_SCALE_FLOOR, LOG_SCALE_CEILING).exp()
        return (mean + scale * z[..., -1] + 1) * ((self.levels - 1) / 2), scale

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the rounded draw of a component."""
        numba = self.backend == "numba"  # it scores the draw too: for a step's few rows it takes four times as long
        sample = None if numba else kernel_for("logistic_mixture_sample", self.backend, params)
        if sample is not None:
            return sample(params, z, levels=self.levels, components=self.components)[0]
        value, _ = self._value(params, z)
        return to_level(value, self.levels)

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the smaller of the margin of the component and that of the rounding."""
        params, z = at_least_float32(params), at_least_float32(z)
        value, scale = self._value(params, z)
        # a change d of mean and log-scale moves the draw by at most d + scale |z| (e^d - 1)
        rounding = 2 * torch.log1p(to_boundary(value, self.levels) / (1 + scale * z[..., -1].abs()))
        if self.components == 1:
            return rounding
        best = (params[..., : self.components] + z[..., :-1]).topk(2, dim=-1).values
        return torch.minimum(best[..., 0] - best[..., 1], rounding)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of a level in nats."""
        log_prob = kernel_for("logistic_mixture_log_prob", self.backend, params)
        if log_prob is not None:
            return log_prob(params, x, levels=self.levels, components=self.components)
        params = at_least_float32(params)
        logits, means, log_scales = params.chunk(3, dim=-1)
        mass = log_mass(x.unsqueeze(-1), means, log_scales.clamp_min(LOG_SCALE_FLOOR), self.levels)
        return torch.logsumexp(logits.log_softmax(-1) + mass, dim=-1)

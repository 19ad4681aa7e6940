"""The logistic distribution: continuous and invertible; the distribution of a Parallel WaveNet student."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from arbench.distributions.base import logistic
from arbench.distributions.location_scale import LocationScale

_EXACT = 40.0
"""Argument above which softplus is its argument, in float64 too."""


class Logistic(LocationScale):
    """Real elements x = mean + exp(log_scale) z with z standard logistic; parameters (mean, log_scale).

    Log-scales have no floor by default, because a flow must be invertible.

    Source: van den Oord et al., *Parallel WaveNet*, 2017, section 4, eq. 5.
    """

    def standard(self, u: Tensor) -> Tensor:
        """Return logistic noise."""
        return logistic(u)

    def log_density(self, t: Tensor) -> Tensor:
        """Return the log-density of the standard logistic distribution."""
        return -(softplus(t, threshold=_EXACT) + softplus(-t, threshold=_EXACT))  # no sum of infinities

    def distribution_function(self, t: Tensor) -> Tensor:
        """Return the sigmoid of ``t``."""
        return t.sigmoid()

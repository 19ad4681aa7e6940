"""The logistic distribution: continuous, with an inverse; what a Parallel WaveNet student draws from."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from arbench.distributions.base import logistic
from arbench.distributions.location_scale import LocationScale


class Logistic(LocationScale):
    """Real elements x = mean + exp(log_scale) z with z standard logistic; parameters (mean, log_scale).

    Log-scales have no floor by default: a flow's must invert.

    Source: van den Oord et al., *Parallel WaveNet*, 2017, section 4, eq. 5.
    """

    def standard(self, u: Tensor) -> Tensor:
        return logistic(u)

    def log_density(self, t: Tensor) -> Tensor:
        return -t - 2 * softplus(-t)

    def distribution_function(self, t: Tensor) -> Tensor:
        return t.sigmoid()

"""The logistic distribution: continuous, with an inverse; what a Parallel WaveNet student draws from."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from arbench.distributions.base import Distribution, logistic


class Logistic(Distribution):
    """Real elements x = mean + exp(log_scale) z with z standard logistic; parameters (mean, log_scale).

    Source: van den Oord et al., *Parallel WaveNet*, 2017, section 4, eq. 5.
    """

    finite = False
    params_width = 2
    noise_width = 1

    def standard(self, u: Tensor) -> Tensor:
        return logistic(u)

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        mean, log_scale = params.unbind(-1)
        return mean + log_scale.exp() * z.squeeze(-1)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        mean, log_scale = params.unbind(-1)
        t = (x - mean) * (-log_scale).exp()
        return -t - 2 * softplus(-t) - log_scale

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = params.unbind(-1)
        return ((x - mean) * (-log_scale).exp()).unsqueeze(-1), -log_scale

    def cdf(self, params: Tensor, x: Tensor) -> Tensor:
        mean, log_scale = params.unbind(-1)
        return ((x - mean) * (-log_scale).exp()).sigmoid()

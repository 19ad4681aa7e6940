"""Continuous mixtures of location-scale distributions: Gaussians, logistics."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.distributions.base import Distribution, at_least_float32, gumbel
from arbench.distributions.location_scale import LocationScale
from arbench.distributions.logistic import Logistic
from arbench.distributions.normal import LOG_SCALE_FLOOR, Normal


class Mixture(Distribution):
    """Real elements from one of K components; parameters (B, M, 3 K): mixture logits, means, log-scales.

    A draw picks a component by Gumbel arg-max and then draws from it. The noise is one value per component and one for
    the draw. In half precision the component is picked, and probabilities are computed, in float32.

    Args:
        component: distribution of each component.
        components: number of components, K.

    Raises:
        ValueError: fewer than one component.
    """

    finite = False

    def __init__(self, component: LocationScale, components: int) -> None:
        if components < 1:
            raise ValueError(f"a mixture needs at least 1 component, got {components}")
        self.component = component
        self.components = components
        self.params_width = 3 * components
        self.noise_width = components + 1

    def standard(self, u: Tensor) -> Tensor:
        """Return Gumbel noise for the components and standard noise of a component."""
        return torch.cat([gumbel(u[..., :-1]), self.component.standard(u[..., -1:])], dim=-1)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, M, K), and mean and log-scale of each component (B, M, K, 2)."""
        logits, means, log_scales = params.chunk(3, dim=-1)
        return logits, torch.stack([means, log_scales], dim=-1)

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the draw of a component."""
        logits, means, log_scales = params.chunk(3, dim=-1)
        chosen = (at_least_float32(logits) + at_least_float32(z[..., :-1])).argmax(-1, keepdim=True)
        own = torch.cat([means.gather(-1, chosen), log_scales.gather(-1, chosen)], dim=-1)
        return self.component.draw(own, z[..., -1:])

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the margin of the component."""
        if self.components == 1:
            return super().margin(params, z)
        logits = params[..., : self.components]
        best = (at_least_float32(logits) + at_least_float32(z[..., :-1])).topk(2, dim=-1).values
        return best[..., 0] - best[..., 1]

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-density of ``x`` in nats."""
        logits, each = self._parts(at_least_float32(params))
        return torch.logsumexp(logits.log_softmax(-1) + self.component.log_prob(each, x.unsqueeze(-1)), dim=-1)

    def cdf(self, params: Tensor, x: Tensor) -> Tensor:
        """Return P(X <= x)."""
        logits, each = self._parts(at_least_float32(params))
        return (logits.softmax(-1) * self.component.cdf(each, x.unsqueeze(-1))).sum(-1)


class GaussianMixture(Mixture):
    """A mixture of K normal distributions; log-scales below -9 are replaced by -9, as in ``Normal``.

    Sources: Bishop, *Mixture Density Networks*, 1994; Uria et al., *RNADE: The Real-valued Neural
    Autoregressive Density-estimator*, 2013, for elements of an autoregressive model.
    """

    def __init__(self, components: int) -> None:
        super().__init__(Normal(LOG_SCALE_FLOOR), components)


class LogisticMixture(Mixture):
    """A mixture of K logistic distributions: ``DiscretizedLogisticMixture`` before rounding.

    Log-scales below -7 are replaced by -7.

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1, eq. 1, and its published code for the floor.
    """

    def __init__(self, components: int) -> None:
        super().__init__(Logistic(log_scale_floor=-7.0), components)

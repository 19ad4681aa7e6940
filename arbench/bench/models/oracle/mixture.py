"""The oracle of a mixture of densities."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.bench.models.oracle.base import Oracle, at, lead, log_total, log_weights
from arbench.bench.models.oracle.families import Family
from arbench.bench.models.oracle.location_scale import nodes


class MixtureOracle(Oracle):
    """p(x) = sum_k w_k p_k(x), w = softmax of K logits; then K means and K log-scales.

    The component is the k with the largest sum of logit and Gumbel noise; the last noise value is the family's.

    Args:
        family: standard distribution of each component.
        components: number of components, K.
        floor: value that replaces smaller log-scales.
    """

    family: Family

    def __init__(self, family: Family, components: int, floor: float) -> None:
        self.family, self.floor = family, floor
        self.components = self.choices = components
        self.width, self.noise_width = 3 * components, components + 1

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = self.components
        return params[..., :k], params[..., k : 2 * k], params[..., 2 * k :].clamp_min(self.floor)

    def _joint(self, params: Tensor, x: Tensor) -> Tensor:
        """Return log(w_k p_k(x)) for each component."""
        logits, means, log_scales = self._read(params)
        inner = self.family.log_density((x.unsqueeze(-1) - means) / log_scales.exp()) - log_scales
        return log_weights(logits) + inner

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-density."""
        return log_total(self._joint(params, x))

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the draw of the component that the noise takes."""
        logits, means, log_scales = self._read(params)
        k = (logits + noise[..., :-1]).max(-1).indices
        return at(means, k) + at(log_scales, k).exp() * noise[..., -1]

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the lead of the component."""
        return lead(params[..., : self.components] + noise[..., :-1])

    def quadrature(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Return a trapezoid rule for each component, each place weighed by that component's share of the density."""
        _, means, log_scales = self._read(params)
        x, weight = nodes(self.family, means, log_scales)  # (.., K, Q)
        joint = self._joint(params[..., None, None, :], x)
        own = torch.stack([joint[..., k, :, k] for k in range(self.components)], -2)
        share = (own - log_total(joint)).exp()
        return x.flatten(-2), (weight * share).flatten(-2)

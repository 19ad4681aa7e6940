"""The oracle of a softmax over levels."""

from __future__ import annotations

from torch import Tensor

from arbench.bench.models.oracle.base import Oracle, at, lead, log_total, log_weights


class CategoricalOracle(Oracle):
    """P(x) = exp(l_x) / sum_k exp(l_k), drawn as the x with the largest l_x + Gumbel noise."""

    def __init__(self, levels: int) -> None:
        self.levels = self.width = self.noise_width = self.choices = levels

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return l_x - log sum_k exp(l_k)."""
        return at(params, x) - log_total(params)

    def all_levels(self, params: Tensor) -> Tensor:
        """Return the log-probabilities (.., L) of every level."""
        return log_weights(params)

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the level with the largest sum."""
        return (params + noise).max(-1).indices

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the lead of the largest sum."""
        return lead(params + noise)

    def sensitivity(self, params: Tensor, x: Tensor) -> Tensor:
        """Return sum_k |[k = x] - p_k| (1 + |l_k|)."""
        p, size = log_weights(params).exp(), 1 + params.abs()
        own = at(p, x)
        return (p * size).sum(-1) + (1 - 2 * own) * at(size, x)

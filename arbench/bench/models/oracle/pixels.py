"""The oracle of a mixture of logistics over whole pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.bench.models.oracle.base import Oracle, lead, log_total, log_weights
from arbench.bench.models.oracle.discretised import log_bin, nearest, to_edge
from arbench.bench.models.oracle.families import LOGISTIC

FLOOR = -7.0
"""Value that replaces smaller log-scales."""


class PixelOracle(Oracle):
    """Pixels of C channels in one integer, the first channel in its highest digit of base L.

    All channels share one component. In it the mean of channel c is m_c + sum over earlier channels d of
    tanh(a_cd) v_d, where v_d is the value, in [-1, 1], of the level that channel d has. Parameters: K logits; C x K
    means; C x K log-scales; K each of a_10, a_20, a_21, a_30, and so on.

    Args:
        levels: number of levels of a channel, L.
        colours: number of channels, C.
        components: number of components, K.
    """

    levels: int

    def __init__(self, levels: int, colours: int, components: int) -> None:
        self.each, self.colours, self.family = levels, colours, LOGISTIC
        self.components = self.choices = components
        self.levels = levels**colours
        self.noise_width = components + colours
        self.width = components * (1 + 2 * colours + colours * (colours - 1) // 2)

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, dict[tuple[int, int], Tensor]]:
        """Return logits (.., K), means and log-scales (.., C, K), and coefficients (.., K) by pairs of channels."""
        k, c = self.components, self.colours
        table = params.reshape(*params.shape[:-1], self.width // k, k)
        pairs = [(i, j) for i in range(c) for j in range(i)]
        mixed = {pair: table[..., 1 + 2 * c + at, :].tanh() for at, pair in enumerate(pairs)}
        return table[..., 0, :], table[..., 1 : 1 + c, :], table[..., 1 + c : 1 + 2 * c, :].clamp_min(FLOOR), mixed

    def channels(self, x: Tensor) -> list[Tensor]:
        """Return the levels of each channel."""
        return [x.div(self.each**power, rounding_mode="floor") % self.each for power in range(self.colours)][::-1]

    def _value(self, level: Tensor) -> Tensor:
        return -1 + 2 * level.double() / (self.each - 1)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return log sum_k w_k prod_c P_k(x_c | earlier channels)."""
        logits, means, log_scales, mixed = self._read(params)
        total, levels = log_weights(logits), [level.unsqueeze(-1) for level in self.channels(x)]
        for c in range(self.colours):
            mean = means[..., c, :]
            for d in range(c):
                mean = mean + mixed[c, d] * self._value(levels[d])
            total = total + log_bin(levels[c], mean, log_scales[..., c, :], self.each)
        return log_total(total)

    def _follow(self, params: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pixel that is drawn, and twice the least change that takes a channel to another level."""
        logits, means, log_scales, mixed = self._read(params)
        k = (logits + noise[..., : self.components]).max(-1).indices.unsqueeze(-1)
        pixel, values, change = torch.zeros_like(k[..., 0]), list[Tensor](), list[Tensor]()
        for c in range(self.colours):
            spread = log_scales[..., c, :].take_along_dim(k, -1)[..., 0].exp() * noise[..., self.components + c]
            y = means[..., c, :].take_along_dim(k, -1)[..., 0] + spread
            moved = 1 + spread.abs()  # times exp(d) - 1: how far a change d of every parameter moves y at most
            for d, value in enumerate(values):
                y = y + mixed[c, d].take_along_dim(k, -1)[..., 0] * value
                moved = moved + value.abs()
            level = nearest(y, self.each)
            values.append(self._value(level))
            change.append((to_edge(y, self.each) / moved).log1p())
            pixel = pixel * self.each + level
        return pixel, 2 * torch.stack(change).amin(0)

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the pixel, channel after channel."""
        return self._follow(params, noise)[0]

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the smaller of the component's lead and twice the change that takes a channel to another level."""
        first = slice(0, self.components)
        return torch.minimum(lead(params[..., first] + noise[..., first]), self._follow(params, noise)[1])

    def probes(self, count: int, generator: torch.Generator) -> Tensor:
        """Return pixels with each channel at an end or in the middle, and ``count`` at random."""
        ends = torch.tensor([0, min(1, self.each - 1), self.each // 2, self.each - 1]).unique()
        pixels = torch.zeros(1, dtype=torch.long)
        for _ in range(self.colours):
            pixels = (pixels[:, None] * self.each + ends).flatten()
        return torch.cat([pixels, torch.randint(self.levels, (count,), generator=generator)]).unique()

"""The discretized mixture of logistics over whole pixels, each channel conditioned on the earlier ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from arbench.distributions.base import Distribution, at_least_float32, gumbel, logistic
from arbench.distributions.logistic_mixture import LOG_SCALE_CEILING, log_mass, to_boundary, to_level

LOG_SCALE_FLOOR = -7.0
"""Value that replaces smaller log-scales, from the published code."""


def pack(x: Tensor, levels: int) -> Tensor:
    """Return one integer per pixel from its channels (.., C), in base ``levels``, most significant channel first."""
    packed, *rest = x.unbind(-1)
    for channel in rest:
        packed = packed * levels + channel
    return packed


def unpack(x: Tensor, levels: int, colours: int) -> Tensor:
    """Return the channels (.., C), each 0 .. levels-1, of packed pixels (..)."""
    return torch.stack([x // levels**i % levels for i in reversed(range(colours))], dim=-1)


class _Parts(NamedTuple):
    """The parameters of pixels by their roles."""

    logits: Tensor
    """Mixture logits (B, M, K)."""
    means: Tensor
    """Means (B, M, C, K) without the contribution of earlier channels."""
    log_scales: Tensor
    """Log-scales (B, M, C, K), at least the floor."""
    coefficients: Tensor
    """Coefficients (B, M, C (C - 1) / 2, K) in (-1, 1): of channel 1 on 0, of 2 on 0 and 1, and so on."""


class PixelMixture(Distribution):
    """Pixels of C channels, packed into integers 0 .. L^C - 1 in base L, most significant channel first.

    All channels share one component of the mixture. Within it, the mean of a channel is linear in the values of the
    earlier channels, and each channel is *rounded* to its level before it conditions the next. Values are
    2x/(L-1) - 1 in [-1, 1], and the edge bins contain the whole tails. Parameters (B, M, K (1 + 2 C + C (C - 1) / 2)):
    K logits; means, then log-scales, by channel and component; coefficients, to which tanh is applied. The noise is one
    value per component and one per channel. Log-scales below -7 are replaced by -7, and half precision is computed in
    float32.

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1-2.2, eq. 1-3. The published code does not round when it
    samples, and so draws from another distribution than the one that it scores.

    Args:
        levels: number of levels of a channel, L, at least 2.
        colours: number of channels, C.
        components: number of components, K.

    Raises:
        ValueError: too few levels, channels or components.
    """

    finite = True

    def __init__(self, levels: int, colours: int, components: int) -> None:
        if levels < 2 or colours < 1 or components < 1:
            raise ValueError(
                f"need at least 2 levels, 1 colour and 1 component, got {levels}, {colours} and {components}"
            )
        self.channel_levels, self.colours, self.components = levels, colours, components
        self.levels = levels**colours
        """Number of levels of a packed pixel."""
        self.pairs = colours * (colours - 1) // 2
        self.params_width = components * (1 + 2 * colours + self.pairs)
        self.noise_width = components + colours

    def standard(self, u: Tensor) -> Tensor:
        """Return Gumbel noise for the components and logistic noise for the channels."""
        k = self.components
        return torch.cat([gumbel(u[..., :k]), logistic(u[..., k:])], dim=-1)

    def _split(self, params: Tensor) -> _Parts:
        c, k = self.colours, self.components
        grid = at_least_float32(params).unflatten(-1, (-1, k))
        logits, means, log_scales, coefficients = grid.split([1, c, c, self.pairs], dim=-2)
        return _Parts(logits.squeeze(-2), means, log_scales.clamp_min(LOG_SCALE_FLOOR), coefficients.tanh())

    def _value(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the levels of a channel as numbers in [-1, 1]."""
        return x.to(dtype) * (2 / (self.channel_levels - 1)) - 1

    def _follow(self, params: Tensor, z: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Draw channel after channel.

        Returns:
            For each channel (B, M): the continuous draw on the scale of levels, the logistic's share of it, and the
            level to which it is rounded.
        """
        z, parts = at_least_float32(z), self._split(params)
        chosen = (parts.logits + z[..., : self.components]).argmax(-1)[..., None, None]
        means, log_scales, coefficients = (
            part.gather(-1, chosen.expand(*part.shape[:-1], 1)).squeeze(-1) for part in parts[1:]
        )
        spreads = log_scales.clamp_max(LOG_SCALE_CEILING).exp() * z[..., self.components :]
        centres, top = means + spreads, self.channel_levels - 1
        values, found, earlier = [], [], list[Tensor]()
        for c in range(self.colours):
            centre, first = centres[..., c], c * (c - 1) // 2
            for d, value in enumerate(earlier):
                centre = centre + coefficients[..., first + d] * value
            values.append((centre + 1) * (top / 2))
            found.append(to_level(values[-1], self.channel_levels))
            if c + 1 < self.colours:
                earlier.append(self._value(found[-1], centre.dtype))
        return values, list(spreads.unbind(-1)), found

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Return packed pixels."""
        *_, found = self._follow(params, z)
        return pack(torch.stack(found, dim=-1), self.channel_levels)

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the smallest of the margin of the component and those of the rounding of each channel."""
        params, z = at_least_float32(params), at_least_float32(z)
        values, spreads, found = self._follow(params, z)
        least, reach = [], torch.ones_like(spreads[0])
        for value, spread, level in zip(values, spreads, found, strict=True):
            # a change d of every parameter moves this by at most (1 + sum |earlier|) d + |spread| (e^d - 1):
            # the earlier channels do not change, and the slope of tanh is at most 1
            least.append(torch.log1p(to_boundary(value, self.channel_levels) / (reach + spread.abs())))
            reach = reach + self._value(level, value.dtype).abs()
        rounding = 2 * torch.stack(least, dim=-1).amin(-1)
        if self.components == 1:
            return rounding
        best = (params[..., : self.components] + z[..., : self.components]).topk(2, dim=-1).values
        return torch.minimum(best[..., 0] - best[..., 1], rounding)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of packed pixels in nats."""
        parts = self._split(params)
        channels = unpack(x, self.channel_levels, self.colours)
        values = self._value(channels, parts.means.dtype).unsqueeze(-1)
        total = parts.logits.log_softmax(-1)
        for c in range(self.colours):
            first = c * (c - 1) // 2
            earlier = parts.coefficients[..., first : first + c, :] * values[..., :c, :]
            mean = parts.means[..., c, :] + earlier.sum(-2)
            level = channels[..., c].unsqueeze(-1)
            total = total + log_mass(level, mean, parts.log_scales[..., c, :], self.channel_levels)
        return torch.logsumexp(total, dim=-1)

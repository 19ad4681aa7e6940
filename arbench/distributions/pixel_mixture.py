"""The discretized mixture of logistics over whole pixels, each channel conditioned on the ones before it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from arbench.distributions.base import Distribution, at_least_float32, gumbel, logistic
from arbench.distributions.logistic_mixture import log_mass, to_boundary

LOG_SCALE_FLOOR = -7.0
"""Of the published code: a lower log-scale is taken for this one."""


def pack(x: Tensor, levels: int) -> Tensor:
    """One integer a pixel from its channels (.., C), base ``levels``, the first channel most significant."""
    packed, *rest = x.unbind(-1)
    for channel in rest:
        packed = packed * levels + channel
    return packed


def unpack(x: Tensor, levels: int, colours: int) -> Tensor:
    """Channels (.., C), each 0 .. levels-1, of packed pixels (..)."""
    return torch.stack([x // levels**i % levels for i in reversed(range(colours))], dim=-1)


class _Parts(NamedTuple):
    """A pixel's parameters by what they are."""

    logits: Tensor
    """(B, M, K)"""
    means: Tensor
    """(B, M, C, K), before what earlier channels add."""
    log_scales: Tensor
    """(B, M, C, K), at least the floor."""
    coefficients: Tensor
    """(B, M, C (C - 1) / 2, K) in (-1, 1): of channel 1 on 0, of 2 on 0 and 1, and so on."""


class PixelMixture(Distribution):
    """Pixels of C channels, packed into integers 0 .. L^C - 1 in base L, the first most significant.

    All channels share the mixture's component; in it, a channel's mean is linear in the values of the
    channels before, and each channel is *rounded* to its level before it conditions the next. Values are
    2x/(L-1) - 1 in [-1, 1], edge bins hold the whole tails. Parameters (B, M, K (1 + 2 C + C (C - 1) / 2)):
    K logits; means, then log-scales, by channel and component; coefficients, which go through tanh. Noise:
    one number a component and one a channel. A log-scale below -7 is taken for -7, half precision computed
    in float32.

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1-2.2, eq. 1-3. Its code does not round when it
    samples, and then draws from another law than the one it scores by.

    Args:
        levels: L of a channel, at least 2.
        colours: C.
        components: K.

    Raises:
        ValueError: too few of any.
    """

    finite = True

    def __init__(self, levels: int, colours: int, components: int) -> None:
        if levels < 2 or colours < 1 or components < 1:
            raise ValueError(
                f"need at least 2 levels, 1 colour and 1 component, got {levels}, {colours} and {components}"
            )
        self.channel_levels, self.colours, self.components = levels, colours, components
        self.levels = levels**colours
        """Of a packed pixel."""
        self.pairs = colours * (colours - 1) // 2
        self.params_width = components * (1 + 2 * colours + self.pairs)
        self.noise_width = components + colours

    def standard(self, u: Tensor) -> Tensor:
        k = self.components
        return torch.cat([gumbel(u[..., :k]), logistic(u[..., k:])], dim=-1)

    def _split(self, params: Tensor) -> _Parts:
        c, k = self.colours, self.components
        grid = at_least_float32(params).unflatten(-1, (-1, k))
        logits, means, log_scales, coefficients = grid.split([1, c, c, self.pairs], dim=-2)
        return _Parts(logits.squeeze(-2), means, log_scales.clamp_min(LOG_SCALE_FLOOR), coefficients.tanh())

    def _value(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Levels of a channel as numbers of [-1, 1]."""
        return x.to(dtype) * (2 / (self.channel_levels - 1)) - 1

    def _follow(self, params: Tensor, z: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Of each channel (B, M): the continuous draw on the scale of levels, the logistic's part of it, and
        the level it is rounded to."""
        z, parts = at_least_float32(z), self._split(params)
        chosen = (parts.logits + z[..., : self.components]).argmax(-1)[..., None, None]
        means, log_scales, coefficients = (
            part.gather(-1, chosen.expand(*part.shape[:-1], 1)).squeeze(-1) for part in parts[1:]
        )
        spreads = log_scales.exp() * z[..., self.components :]
        centres, top = means + spreads, self.channel_levels - 1
        values, found, earlier = [], [], list[Tensor]()
        for c in range(self.colours):
            centre, first = centres[..., c], c * (c - 1) // 2
            for d, value in enumerate(earlier):
                centre = centre + coefficients[..., first + d] * value
            values.append((centre + 1) * (top / 2))
            found.append(values[-1].clamp(0, top).round().long())
            if c + 1 < self.colours:
                earlier.append(self._value(found[-1], centre.dtype))
        return values, list(spreads.unbind(-1)), found

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        *_, found = self._follow(params, z)
        return pack(torch.stack(found, dim=-1), self.channel_levels)

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        params, z = at_least_float32(params), at_least_float32(z)
        values, spreads, found = self._follow(params, z)
        least, reach = [], torch.ones_like(spreads[0])
        for value, spread, level in zip(values, spreads, found, strict=True):
            # a change d of every parameter moves this by (1 + sum |earlier|) d + |spread| (e^d - 1) at most:
            # the earlier channels stay what they are, and tanh has slope 1 at most
            least.append(torch.log1p(to_boundary(value, self.channel_levels) / (reach + spread.abs())))
            reach = reach + self._value(level, value.dtype).abs()
        rounding = 2 * torch.stack(least, dim=-1).amin(-1)
        if self.components == 1:
            return rounding
        best = (params[..., : self.components] + z[..., : self.components]).topk(2, dim=-1).values
        return torch.minimum(best[..., 0] - best[..., 1], rounding)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
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

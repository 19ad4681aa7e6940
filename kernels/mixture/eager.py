"""The discretized mixture of logistics in plain PyTorch: log-probabilities and draws.

Source: Salimans et al., *PixelCNN++*, 2017, sections 2.1 and 2.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from arbench.kernels.mixture.parameters import LOG_SCALE_CEILING, LOG_SCALE_FLOOR


def log_prob(params: Tensor, x: Tensor, levels: int, components: int, channels: int) -> Tensor:
    """Return the log-probabilities of levels; see ``logistic_mixture_log_prob``."""
    params = _at_least_float32(params)
    logits, means, log_scales, coefficients = _split(params, components, channels)
    x = x if channels > 1 else x.unsqueeze(-1)  # (..., C)
    half = 1 / (levels - 1)
    position = x.to(params.dtype) * (2 * half) - 1
    centre = position.unsqueeze(-1) - _shifted(means, coefficients, position)  # (..., C, K)
    log_scales = log_scales.clamp_min(LOG_SCALE_FLOOR)
    inverse = (-log_scales).exp()
    below = logsigmoid((centre + half) * inverse)
    above = logsigmoid((half - centre) * inverse)
    shrunk, least = -2 * half * inverse, torch.finfo(params.dtype).eps
    wide = torch.log(-torch.expm1(shrunk.clamp_max(-least)))
    gap = torch.where(shrunk > -least, math.log(2 * half) - log_scales, wide)  # finite where the width underflows
    x = x.unsqueeze(-1)
    mass = torch.where(x == 0, below, torch.where(x == levels - 1, above, below + above + gap))
    return torch.logsumexp(logits.log_softmax(-1) + mass.sum(-2), dim=-1)


def draw(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> Tensor:
    """Return levels drawn with given noise; see ``logistic_mixture_sample``."""
    value, _ = continuous(params, noise, levels, components, channels)
    x = _nearest(value, levels).long()
    return x if channels > 1 else x.squeeze(-1)


def continuous(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    """Return draws (..., C) on the scale of levels before rounding, and the sum of the magnitudes of their terms."""
    logits, means, log_scales, coefficients = _split(_at_least_float32(params), components, channels)
    noise = _at_least_float32(noise)
    chosen = (logits + noise[..., :components]).argmax(-1, keepdim=True)  # (..., 1)
    half = (levels - 1) / 2

    def of_chosen(numbers: Tensor) -> Tensor:
        return numbers.gather(-1, chosen.unsqueeze(-2).expand(*numbers.shape[:-1], 1)).squeeze(-1)

    mean, weight = of_chosen(means), of_chosen(coefficients)
    scale = of_chosen(log_scales).clamp(LOG_SCALE_FLOOR, LOG_SCALE_CEILING).exp()
    value: list[Tensor] = []
    size: list[Tensor] = []
    position: list[Tensor] = []
    for c in range(channels):
        centre = mean[..., c]
        for before in range(c):
            centre = centre + weight[..., c - 1 + before] * position[before]
        spread = scale[..., c] * noise[..., components + c]
        value.append((centre + spread + 1) * half)
        size.append((centre.abs() + spread.abs() + 1) * half)
        position.append(_nearest(value[c], levels) * (2 / (levels - 1)) - 1)
    return torch.stack(value, dim=-1), torch.stack(size, dim=-1)


def _nearest(value: Tensor, levels: int) -> Tensor:
    """Return the level nearest to a number on the scale of levels, as a floating-point number; 0 for NaN."""
    return value.clamp(0, levels - 1).nan_to_num(0.0).round()


def _at_least_float32(x: Tensor) -> Tensor:
    """Widen half precision, which represents neither 65,536 levels nor a difference of two of them."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _split(params: Tensor, components: int, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits (..., K), means and log-scales (..., C, K), and tanh of the coefficients (..., 0 or 3, K)."""
    groups = params.unflatten(-1, (-1, components))
    logits, means, log_scales, coefficients = groups.split([1, channels, channels, 0 if channels == 1 else 3], dim=-2)
    return logits.squeeze(-2), means, log_scales, coefficients.tanh()


def _shifted(means: Tensor, coefficients: Tensor, position: Tensor) -> Tensor:
    """Return means (..., C, K) given the channels' positions (..., C): g's moves with r, b's with r and g."""
    if means.shape[-2] == 1:
        return means
    r, g = position[..., 0:1], position[..., 1:2]
    rg, rb, gb = coefficients.unbind(-2)
    mean_r, mean_g, mean_b = means.unbind(-2)
    return torch.stack([mean_r, mean_g + rg * r, mean_b + rb * r + gb * g], dim=-2)

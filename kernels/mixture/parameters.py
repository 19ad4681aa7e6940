"""Parameters of the discretized mixture of logistics of PixelCNN++: their layout, and what every call checks.

Source: Salimans et al., *PixelCNN++*, 2017, sections 2.1 and 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.kernels.core.spec import floating, integer, same_device

LOG_SCALE_FLOOR = -14.0
"""Lower bound of log-scales; lower ones count as this."""
LOG_SCALE_CEILING = 60.0
"""Upper bound of log-scales in draws, which are then at an end of the levels in either case."""
MOST_LEVELS = 2**24
"""Largest number of levels: the integers that float32 represents exactly."""
MOST_COMPONENTS = 1024
"""Largest number of components: one program holds all of a row."""


def width(components: int, channels: int) -> int:
    """Return the number of parameters of an element (one channel) or a pixel (three channels).

    One channel: K logits, K means, K log-scales. Three: K logits; means of r, of g, of b; log-scales of r, of
    g, of b; coefficients r to g, r to b, g to b, before their tanh. Each is a group of K adjacent numbers.
    """
    return components * (3 if channels == 1 else 10)


def result_dtype(params: Tensor) -> torch.dtype:
    """Return the dtype of log-probabilities: float64 for float64 parameters, else float32."""
    return torch.float64 if params.dtype == torch.float64 else torch.float32


def check(name: str, params: Tensor, levels: int, components: int, channels: int) -> None:
    """Check the arguments that every kernel of the mixture has.

    Raises:
        TypeError: params are not floating-point; levels, components or channels are not integers.
        ValueError: the last axis of params, levels, components or channels are out of range.
    """
    floating(name, params=params)
    for key, number in (("levels", levels), ("components", components), ("channels", channels)):
        integer(name, key, number)
    if not 2 <= levels <= MOST_LEVELS:
        raise ValueError(f"{name}: levels must lie in 2 .. {MOST_LEVELS}, not {levels}")
    if not 1 <= components <= MOST_COMPONENTS:
        raise ValueError(f"{name}: components must lie in 1 .. {MOST_COMPONENTS}, not {components}")
    if channels not in (1, 3):
        raise ValueError(f"{name}: channels must be 1 or 3, not {channels}")
    needed = width(components, channels)
    if params.dim() == 0 or params.shape[-1] != needed:
        raise ValueError(
            f"{name}: the last axis of params must have {needed} elements for {components} components and "
            f"{channels} channels; the shape is {tuple(params.shape)}"
        )


def check_levels(name: str, params: Tensor, x: Tensor, channels: int) -> None:
    """Check that levels are (...,), or (..., 3) for three channels, for params (..., P).

    Raises:
        TypeError: the levels are not int64.
        ValueError: the shape does not fit, or devices differ.
    """
    if x.dtype != torch.int64:
        raise TypeError(f"{name}: x must be int64, not {x.dtype}")
    same_device(name, params=params, x=x)
    expected = (*params.shape[:-1], *((channels,) if channels > 1 else ()))
    if x.shape != expected:
        raise ValueError(
            f"{name}: x must have shape {tuple(expected)} for params of shape {tuple(params.shape)}, "
            f"not {tuple(x.shape)}"
        )

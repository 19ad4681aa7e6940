"""The discretized mixture of logistics of PixelCNN++: how parameters lie, the reference, what is checked.

Its programs share ``logistic_mixture_bins``.

Source: Salimans et al., *PixelCNN++*, 2017, sections 2.1 and 2.2.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
from torch import Tensor
from torch.nn.functional import logsigmoid

from arbench.kernels.core.rows import Rows
from arbench.kernels.core.spec import Config, floating, integer, normal, same_device

LOG_SCALE_FLOOR = -14.0
"""Log-scales below it count as it."""
MOST_LEVELS = 2**24
"""float32 counts no further."""
MOST_COMPONENTS = 1024
"""One program holds all of a row."""


def width(components: int, channels: int) -> int:
    """Parameters of an element (one channel) or a pixel (three).

    One channel: K logits, K means, K log-scales. Three: K logits; means of r, of g, of b; log-scales of r, of
    g, of b; coefficients r to g, r to b, g to b, before their tanh. Each a block of K numbers side by side.
    """
    return components * (3 if channels == 1 else 10)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision widened: it holds neither 65,536 levels nor a difference of two of them."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def check(name: str, params: Tensor, levels: int, components: int, channels: int) -> None:
    """Demands what every call of a mixture must be given.

    Raises:
        TypeError: params are not floating-point; levels, components or channels are no integers.
        ValueError: their last axis, levels, components or channels are out of range.
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
            f"{name}: params of {components} components and {channels} channels end in an axis of {needed}; "
            f"their shape is {tuple(params.shape)}"
        )


def check_levels(name: str, params: Tensor, x: Tensor, channels: int) -> None:
    """Demands levels (...,) or (..., 3) beside params (..., P). Raises TypeError or ValueError."""
    if x.dtype != torch.int64:
        raise TypeError(f"{name}: x must be int64, not {x.dtype}")
    same_device(name, params=params, x=x)
    expected = (*params.shape[:-1], *((channels,) if channels > 1 else ()))
    if x.shape != expected:
        raise ValueError(
            f"{name}: x must have shape {tuple(expected)} beside params of shape {tuple(params.shape)}, "
            f"not {tuple(x.shape)}"
        )


def scale_of(log_scales: Tensor) -> Tensor:
    """Scales, none below the floor."""
    return log_scales.clamp_min(LOG_SCALE_FLOOR).exp()


def split(params: Tensor, components: int, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits (..., K), means and log-scales (..., C, K), and tanh of the coefficients (..., 0 or 3, K)."""
    blocks = params.unflatten(-1, (-1, components))
    logits, means, log_scales, coefficients = blocks.split([1, channels, channels, 0 if channels == 1 else 3], dim=-2)
    return logits.squeeze(-2), means, log_scales, coefficients.tanh()


def shifted(means: Tensor, coefficients: Tensor, position: Tensor) -> Tensor:
    """Means (..., C, K) given the channels' positions (..., C): g's moves with r, b's with r and g."""
    if means.shape[-2] == 1:
        return means
    r, g = position[..., 0:1], position[..., 1:2]
    rg, rb, gb = coefficients.unbind(-2)
    mean_r, mean_g, mean_b = means.unbind(-2)
    return torch.stack([mean_r, mean_g + rg * r, mean_b + rb * r + gb * g], dim=-2)


def log_prob(params: Tensor, x: Tensor, levels: int, components: int, channels: int) -> Tensor:
    """Reference of ``logistic_mixture_log_prob``, in plain PyTorch."""
    params = at_least_float32(params)
    logits, means, log_scales, coefficients = split(params, components, channels)
    x = x if channels > 1 else x.unsqueeze(-1)  # (..., C)
    half = 1 / (levels - 1)
    position = x.to(params.dtype) * (2 * half) - 1
    centre = position.unsqueeze(-1) - shifted(means, coefficients, position)  # (..., C, K)
    inverse = (-log_scales.clamp_min(LOG_SCALE_FLOOR)).exp()
    below = logsigmoid((centre + half) * inverse)
    above = logsigmoid((half - centre) * inverse)
    gap = torch.log(-torch.expm1(-2 * half * inverse))
    x = x.unsqueeze(-1)
    mass = torch.where(x == 0, below, torch.where(x == levels - 1, above, below + above + gap))
    return torch.logsumexp(logits.log_softmax(-1) + mass.sum(-2), dim=-1)


def continuous(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    """Draws (..., C) on the scale of levels before they are rounded, and the size of what adds up to each."""
    logits, means, log_scales, coefficients = split(at_least_float32(params), components, channels)
    noise = at_least_float32(noise)
    chosen = (logits + noise[..., :components]).argmax(-1, keepdim=True)  # (..., 1)
    half = (levels - 1) / 2

    def of_chosen(numbers: Tensor) -> Tensor:
        return numbers.gather(-1, chosen.unsqueeze(-2).expand(*numbers.shape[:-1], 1)).squeeze(-1)

    mean, scale, weight = of_chosen(means), scale_of(of_chosen(log_scales)), of_chosen(coefficients)
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
        position.append(value[c].clamp(0, levels - 1).round() * (2 / (levels - 1)) - 1)
    return torch.stack(value, dim=-1), torch.stack(size, dim=-1)


def draw(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> Tensor:
    """Reference of ``logistic_mixture_sample``'s levels, in plain PyTorch."""
    value, _ = continuous(params, noise, levels, components, channels)
    x = value.clamp(0, levels - 1).round().long()
    return x if channels > 1 else x.squeeze(-1)


def result_dtype(params: Tensor) -> torch.dtype:
    """Of log-probabilities: float32, or float64 of float64."""
    return torch.float64 if params.dtype == torch.float64 else torch.float32


def parts(components: int) -> tuple[int, int]:
    """Components as two tiles, powers of two wide: 10 as 8 and 2; the second 0 where one tile does.

    Sixteen lanes for ten components would do 1.6 times the work.
    """
    whole = triton.next_power_of_2(components)
    if whole == components:
        return whole, 0
    rest = triton.next_power_of_2(components - whole // 2)
    return (whole, 0) if whole // 2 + rest == whole else (whole // 2, rest)


def is_dense(rows: Rows, tensor: int, params: Tensor) -> bool:
    """Whether rows of parameters follow each other without a gap."""
    return rows.inner == (1, 1) and params.stride(-1) == 1 and rows.strides[tensor] == (params.shape[-1], 0, 0)


def tile(params: Tensor, components: int, channels: int, *, backward: bool = False) -> dict[str, int]:
    """Rows that one program holds, how its components lie in tiles, and its warps.

    Eight components a thread, or four of three channels: registers for two dozen warps on a multiprocessor.
    Half precision takes sixteen where it may. A backward program of one warp has no barriers where it changes
    between its tiles' layouts.
    """
    main, rest = parts(components)
    elements, warps = (512, 2) if channels == 1 else (256, 2)
    if channels == 1 and backward:
        elements, warps = 256, 1
    elif channels == 1 and params.itemsize == 2:
        elements = 1024
    return dict(
        BLOCK_ROWS=max(1, elements // main), BLOCK_K=main, BLOCK_K_REST=rest, num_warps=warps * max(1, main // elements)
    )


def constants(levels: int, components: int, channels: int) -> dict[str, Any]:
    """What programs are compiled for."""
    return dict(
        K=components,
        CHANNELS=channels,
        PITCH=width(components, channels),
        BINS=levels - 1,
        LOG2_BINS=math.log2(levels - 1),
    )


def some_params(
    rows: int,
    components: int,
    channels: int,
    layout: str,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None,
) -> Tensor:
    """Parameters (rows, P): means on both sides of the levels, scales of some levels of 256.

    With the layout "columns" it is the rows that lie side by side, as a convolution gives them.
    """
    params = normal((rows, width(components, channels)), dtype, device, generator)
    k = components
    params[:, k : k + k * channels] *= 0.5
    params[:, k + k * channels : k + 2 * k * channels] -= 3
    return params if layout == "rows" else params.t().contiguous().t()


def some_levels(
    rows: int, levels: int, channels: int, device: torch.device | str, generator: torch.Generator | None
) -> Tensor:
    """Levels, the first and the last one often."""
    shape = (rows,) if channels == 1 else (rows, channels)
    if torch.device(device).type == "meta":
        return torch.empty(shape, dtype=torch.int64, device=device)
    where = "cpu" if generator is None else generator.device
    wide = torch.randint(-levels // 4, levels + levels // 4, shape, generator=generator, device=where)
    return wide.clamp(0, levels - 1).to(device)


def vectorised(program: str, config: Config) -> bool:
    """Whether rows lie side by side. Components do so at multiples of 16 bytes only where K is one of 4."""
    return config.get("layout") == "columns"

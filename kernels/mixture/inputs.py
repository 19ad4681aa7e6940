"""Random inputs of the mixture's kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.kernels.core.spec import normal
from arbench.kernels.mixture.parameters import width


def random_params(
    rows: int,
    components: int,
    channels: int,
    layout: str,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None,
) -> Tensor:
    """Return parameters (rows, P): means on both sides of the levels, scales of some levels of 256.

    With the layout "columns" rows are adjacent in memory, as a convolution writes them.
    """
    params = normal((rows, width(components, channels)), dtype, device, generator)
    k = components
    params[:, k : k + k * channels] *= 0.5
    params[:, k + k * channels : k + 2 * k * channels] -= 3
    return params if layout == "rows" else params.t().contiguous().t()


def random_levels(
    rows: int, levels: int, channels: int, device: torch.device | str, generator: torch.Generator | None
) -> Tensor:
    """Return levels, in which the first and the last one are frequent."""
    shape = (rows,) if channels == 1 else (rows, channels)
    if torch.device(device).type == "meta":
        return torch.empty(shape, dtype=torch.int64, device=device)
    where = "cpu" if generator is None else generator.device
    wide = torch.randint(-levels // 4, levels + levels // 4, shape, generator=generator, device=where)
    return wide.clamp(0, levels - 1).to(device)

"""Parameters of mixtures at every scale and distance, and how close their gradients must be."""

from __future__ import annotations

import torch
from torch import Tensor

SCALES = (-30.0, -14.0, -13.0, -9.0, -5.0, 0.0, 5.0, 20.0, 90.0, 200.0)


def parameters(levels: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return one component at every scale, with means next to the level, within its bin, and far away."""
    rows = [
        (0.0, 2 * x / (levels - 1) - 1 + shift, scale, x)
        for scale in SCALES
        for x in (0, 1, levels // 2, levels - 2, levels - 1)
        for shift in (0.0, 0.3 / levels, -1.0 / levels, 0.5, -1.9, 60.0, -60.0)
    ]
    table = torch.tensor(rows, dtype=torch.float64, device=device)
    return table[:, :3].to(dtype), table[:, 3].long()


def close_gradients(params: Tensor, found: Tensor, expected: Tensor, unit: float) -> None:
    """Compare gradients; the error of a mean's is that of a difference of probabilities, divided by the scale."""
    steep = (-params.detach().double()[:, 2:].clamp_min(-14)).exp()
    slack = torch.cat([torch.zeros_like(steep), steep, torch.zeros_like(steep)], 1)
    assert ((found - expected).abs() <= unit / 5 * (1 + expected.abs() + slack)).all()

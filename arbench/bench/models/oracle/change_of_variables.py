"""Change of variables: log-determinants from autograd's derivatives of a map, whatever the map says of itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
"""A map from (B, N) to (B, N) that treats rows alike."""


def slopes(map_of: Map, r: Tensor) -> tuple[Tensor, Tensor]:
    """Return w = m(r) of a map that takes each element alone, and dw/dr (B, N) by autograd."""
    with torch.enable_grad():
        at = r.detach().clone().requires_grad_()
        w = map_of(at)
        (slope,) = torch.autograd.grad(w.sum(), at)
    return w.detach(), slope


def jacobian(map_of: Map, r: Tensor, outputs: Tensor) -> Tensor:
    """Return rows of the Jacobian of a map at one point by autograd.

    Args:
        map_of: the map.
        r: the point (N,).
        outputs: numbers of the elements of w whose rows are wanted (M,).

    Returns:
        dw_i/dr_j, (M, N).
    """
    with torch.enable_grad():
        rows = r.detach().expand(len(outputs), -1).clone().requires_grad_()
        w = map_of(rows)
        chosen = w.gather(1, outputs.unsqueeze(1))
        (found,) = torch.autograd.grad(chosen.sum(), rows)
    return found


def log_det(map_of: Map, r: Tensor) -> Tensor:
    """Return log |det dw/dr| (B,) of any map at points (B, N), from its whole Jacobian."""
    every = torch.arange(r.shape[1], device=r.device)
    return torch.stack([torch.linalg.slogdet(jacobian(map_of, row, every)).logabsdet for row in r])


def refined(map_of: Map, r: Tensor, w: Tensor) -> Tensor:
    """Return r of monotonic maps with m(r) = w nearer than a first approximation, by Newton's method."""
    for _ in range(3):
        found, slope = slopes(map_of, r)
        other = r - (found - w) / slope
        closer = (map_of(other) - w).abs() < (found - w).abs()
        r = torch.where(closer, other, r)
    return r

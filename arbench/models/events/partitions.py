"""Partitions of a square image's pixels into groups that are drawn one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Partition = Callable[[int, int], Tensor]
"""(side, groups) to the group of each pixel, integers (side, side) from 0. ``groups`` is 0 where the number
of groups is to follow from the side."""


def rows(side: int, groups: int) -> Tensor:
    """Bands of consecutive rows; without ``groups`` a row each."""
    return (torch.arange(side) * (groups or side) // side).unsqueeze(1).expand(side, side)


def stripes(side: int, groups: int) -> Tensor:
    """Every ``groups``-th row, and then the rows below those."""
    return (torch.arange(side) % groups).unsqueeze(1).expand(side, side)


def checkerboard(side: int, groups: int) -> Tensor:
    """Pixels apart from each other first, then those between: 2 groups are the two colours of a chessboard,
    4 the corners of 2x2 blocks, 16 the places of 4x4 blocks.

    In general the threshold matrix of ordered dithering (Bayer, 1973), its ranks in ``groups`` runs.
    """
    ranks = torch.zeros(1, 1, dtype=torch.long)
    while ranks.numel() < groups:
        ranks = torch.cat([torch.cat([4 * ranks, 4 * ranks + 2], 1), torch.cat([4 * ranks + 3, 4 * ranks + 1], 1)])
    times = -(-side // len(ranks))
    return (ranks * groups // ranks.numel()).repeat(times, times)[:side, :side]


def random(side: int, groups: int) -> Tensor:
    """Runs of one fixed random permutation of the pixels, as equal as can be; without ``groups`` a pixel
    each."""
    places = torch.randperm(side * side, generator=torch.Generator().manual_seed(side))
    return (places * (groups or side * side) // (side * side)).view(side, side)


def s_curve(side: int, groups: int) -> Tensor:
    """Row after row, to the right and back in turns, in runs of equal length; without ``groups`` a pixel
    each (Jain et al., *Locally Masked Convolution for Autoregressive Models*, 2020, figure 2)."""
    places = torch.arange(side * side).view(side, side)
    places[1::2] = places[1::2].flip(1)
    return places * (groups or side * side) // (side * side)


PARTITIONS: Mapping[str, Partition] = {
    "rows": rows,
    "stripes": stripes,
    "checkerboard": checkerboard,
    "random": random,
    "s_curve": s_curve,
}
GROWS: Mapping[str, str] = {"rows": "sqrt N", "random": "N", "s_curve": "N"}
"""How the number of groups grows where none is given; the other partitions need it."""


def checked(found: Tensor, side: int, groups: int) -> Tensor:
    """The group of each pixel, flat (side side,), numbered without gaps: groups that got no pixel of a small
    image are left out.

    Raises:
        ValueError: a partition did not give a (side, side) tensor of integers, from 0 and below ``groups``.
    """
    if tuple(found.shape) != (side, side) or found.is_floating_point():
        raise ValueError(f"a partition gives integers ({side}, {side}), got {found.dtype} {tuple(found.shape)}")
    if int(found.min()) < 0 or (groups and int(found.max()) >= groups):
        raise ValueError(f"groups are numbered 0 to {groups - 1 if groups else 'as many as there are'}")
    return torch.unique(found.reshape(-1), return_inverse=True)[1]

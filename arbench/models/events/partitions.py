"""Partitions of a square image's pixels into groups that are drawn one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Partition = Callable[[int, int], Tensor]
"""A function of (side, groups) that returns the group of each pixel, integers (side, side) from 0.

``groups`` is 0 if the number of groups follows from the side.
"""


def rows(side: int, groups: int) -> Tensor:
    """Return bands of consecutive rows; without ``groups`` one row each."""
    return (torch.arange(side) * (groups or side) // side).unsqueeze(1).expand(side, side)


def stripes(side: int, groups: int) -> Tensor:
    """Return every ``groups``-th row first, then the rows below those, and so on."""
    return (torch.arange(side) % groups).unsqueeze(1).expand(side, side)


def checkerboard(side: int, groups: int) -> Tensor:
    """Return groups of pixels that are spread apart: first a coarse grid, then the pixels between.

    2 groups are the two colours of a chessboard, 4 the corners of 2x2 blocks, 16 the places of 4x4 blocks. In
    general they are the threshold matrix of ordered dithering (Bayer, 1973), its ranks cut into ``groups``
    runs.
    """
    ranks = _bayer(groups)
    times = -(-side // len(ranks))
    return (ranks * groups // ranks.numel()).repeat(times, times)[:side, :side]


def _bayer(count: int) -> Tensor:
    """Return the smallest square threshold matrix with at least ``count`` ranks."""
    ranks = torch.zeros(1, 1, dtype=torch.long)
    while ranks.numel() < count:
        ranks = torch.cat([torch.cat([4 * ranks, 4 * ranks + 2], 1), torch.cat([4 * ranks + 3, 4 * ranks + 1], 1)])
    return ranks


def multiscale(side: int, groups: int) -> Tensor:
    """Return one pixel, and then three groups for each doubling of the grid: 1 + 3 log2 side, rounded up.

    They refine ``checkerboard`` in 4 groups, and ``checkerboard`` with a group for each pixel refines them. With
    ``groups`` this is ``checkerboard``.

    Source: Reed et al., *Parallel Multiscale Autoregressive Density Estimation*, 2017, section 3.
    """
    if groups:
        return checkerboard(side, groups)
    ranks = _bayer(side * side)
    doubling = sum((ranks >= 4**k).long() for k in range(1, side.bit_length() + 1))
    return torch.where(ranks == 0, 0, 3 * doubling + ranks // 4**doubling)[:side, :side]


def random(side: int, groups: int) -> Tensor:
    """Return nearly equal runs of one fixed random permutation; without ``groups`` one pixel each."""
    places = torch.randperm(side * side, generator=torch.Generator().manual_seed(side))
    return (places * (groups or side * side) // (side * side)).view(side, side)


def s_curve(side: int, groups: int) -> Tensor:
    """Return nearly equal runs of an S-curve, left to right and back; without ``groups`` one pixel each.

    Source: Jain et al., *Locally Masked Convolution for Autoregressive Models*, 2020, figure 2.
    """
    places = torch.arange(side * side).view(side, side)
    places[1::2] = places[1::2].flip(1)
    return places * (groups or side * side) // (side * side)


PARTITIONS: Mapping[str, Partition] = {
    "rows": rows,
    "stripes": stripes,
    "checkerboard": checkerboard,
    "multiscale": multiscale,
    "random": random,
    "s_curve": s_curve,
}
"""Partitions by name."""
GROWS: Mapping[str, str] = {"rows": "sqrt N", "multiscale": "log N", "random": "N", "s_curve": "N"}
"""Growth of the number of groups if none is given; the other partitions need one."""


def checked(found: Tensor, side: int, groups: int) -> Tensor:
    """Return the group of each pixel, flat (side side,), numbered without gaps.

    Groups without a pixel, in a small image, are left out.

    Args:
        found: result of a partition.
        side: side of the image.
        groups: number of groups, 0 for any.

    Raises:
        ValueError: ``found`` is not a (side, side) tensor of integers from 0 to below ``groups``.
    """
    if tuple(found.shape) != (side, side) or found.is_floating_point():
        raise ValueError(f"a partition must return integers ({side}, {side}), got {found.dtype} {tuple(found.shape)}")
    if int(found.min()) < 0 or (groups and int(found.max()) >= groups):
        wanted = f"from 0 to {groups - 1}" if groups else "from 0"
        raise ValueError(f"a partition must number groups {wanted}, got {int(found.min())} to {int(found.max())}")
    return torch.unique(found.reshape(-1), return_inverse=True)[1]

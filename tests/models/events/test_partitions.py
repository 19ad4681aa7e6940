"""Tests of partitions: each covers the image, has the requested groups, and does what its name says."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from arbench.models.events.partitions import GROWS, PARTITIONS, checked


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize("name", PARTITIONS)
def test_a_partition_has_as_many_groups_as_asked_for(name: str, groups: int) -> None:
    for side in (16, 17, 21):
        group = checked(PARTITIONS[name](side, groups), side, groups)
        assert torch.equal(group.unique(), torch.arange(groups))
        sizes = torch.bincount(group)
        assert sizes.max() <= 2 * -(-side * side // groups)


@pytest.mark.parametrize("name", PARTITIONS)
def test_groups_that_get_no_pixel_are_left_out(name: str) -> None:
    for side in (1, 2, 3):
        group = checked(PARTITIONS[name](side, 16), side, 16)
        assert torch.equal(group.unique(), torch.arange(int(group.max()) + 1))


@pytest.mark.parametrize("name", GROWS)
def test_without_a_number_the_groups_grow_as_stated(name: str) -> None:
    for side in (1, 2, 5, 8):
        found = checked(PARTITIONS[name](side, 0), side, 0).unique()
        assert len(found) == {"sqrt N": side, "N": side * side, "log N": 1 + 3 * (side - 1).bit_length()}[GROWS[name]]


def test_what_their_names_say() -> None:
    def grid(name: str, side: int, groups: int) -> list[list[int]]:
        return PARTITIONS[name](side, groups).tolist()

    assert grid("rows", 3, 0) == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    assert grid("rows", 4, 2) == [[0] * 4, [0] * 4, [1] * 4, [1] * 4]
    assert grid("stripes", 4, 2) == [[0] * 4, [1] * 4, [0] * 4, [1] * 4]
    assert grid("checkerboard", 3, 2) == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert grid("checkerboard", 3, 4) == [[0, 2, 0], [3, 1, 3], [0, 2, 0]]
    assert grid("s_curve", 3, 0) == [[0, 1, 2], [5, 4, 3], [6, 7, 8]]


def test_groupings_of_digits_refine_each_other() -> None:
    order = [
        PARTITIONS["checkerboard"](8, 1),
        PARTITIONS["checkerboard"](8, 4),
        PARTITIONS["multiscale"](8, 0),
        PARTITIONS["checkerboard"](8, 64),
    ]
    for coarse, fine in pairwise(one.flatten() for one in order):
        earlier = fine[:, None] <= fine
        assert (coarse[:, None] <= coarse)[earlier].all()
        assert len(fine.unique()) > len(coarse.unique())


@pytest.mark.parametrize("groups", [2, 4, 16])
def test_pixels_of_a_chessboards_group_never_touch(groups: int) -> None:
    group = PARTITIONS["checkerboard"](16, groups)
    assert (group[:, 1:] != group[:, :-1]).all()
    assert (group[1:] != group[:-1]).all()


def test_a_random_partition_is_one_and_the_same() -> None:
    first, again = (PARTITIONS["random"](9, 5) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, PARTITIONS["rows"](9, 5))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (torch.zeros(4, 3, dtype=torch.long), r"integers \(4, 4\), got torch.int64 \(4, 3\)"),
        (torch.zeros(4, 4), r"integers \(4, 4\), got torch.float32"),
        (torch.full((4, 4), 2), "number groups from 0 to 1, got 2 to 2$"),
        (torch.full((4, 4), -1), "number groups from 0 to 1, got -1 to -1$"),
    ],
)
def test_what_is_no_partition_is_refused(found: Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked(found, 4, 2)

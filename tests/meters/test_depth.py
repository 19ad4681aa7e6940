"""Depths of regions, against depths kept element by element."""

import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arbench.meters.depth import Regions


def test_unseen_storages_have_depth_zero():
    regions = Regions()
    assert regions.read(torch.zeros(3)) == 0
    assert not regions.known(torch.zeros(3))


@pytest.mark.parametrize(
    "select",
    [
        lambda b, i: b[i],
        lambda b, i: b[:, i],
        lambda b, i: b[..., i],
        lambda b, i: b[:, i, None],
        lambda b, i: b.transpose(0, 2)[i],
        lambda b, i: b[::2, i : i + 1, ::3],
    ],
)
def test_a_slot_in_any_dimension_leaves_its_neighbours_alone(select):
    buffer = torch.zeros(5, 5, 5)
    regions = Regions()
    for i in range(5):
        regions.write(select(buffer, i), i + 1)
    assert [regions.read(select(buffer, i)) for i in range(5)] == [1, 2, 3, 4, 5]
    assert regions.read(buffer) == 5


def test_a_full_overwrite_resets():
    buffer = torch.zeros(4, 4)
    regions = Regions()
    regions.write(buffer[:, 1], 9)
    regions.write(buffer, 2)
    assert regions.read(buffer[:, 1]) == regions.read(buffer) == 2


def test_lift_never_lowers():
    buffer = torch.zeros(4)
    regions = Regions()
    regions.write(buffer[0], 7)
    regions.lift(buffer, 3)
    assert [regions.read(element) for element in buffer] == [7, 3, 3, 3]


def test_views_of_other_item_sizes_see_the_same_bytes():
    buffer = torch.zeros(4, dtype=torch.float64)
    regions = Regions()
    regions.write(buffer[1], 5)
    halves = buffer.view(torch.float32)
    assert [regions.read(half) for half in halves] == [0, 0, 5, 5, 0, 0, 0, 0]
    regions.write(halves[7], 8)
    assert [regions.read(element) for element in buffer] == [0, 5, 0, 8]
    pairs = torch.view_as_complex(buffer.view(2, 2))
    assert [regions.read(pair) for pair in pairs] == [5, 8]
    regions.write(pairs[0], 1)
    assert [regions.read(element) for element in buffer] == [1, 1, 0, 8]


def test_a_storage_that_grew_keeps_its_depths():
    buffer = torch.zeros(2)
    regions = Regions()
    regions.write(buffer[1], 3)
    buffer.resize_(6)
    assert regions.read(buffer[1]) == 3
    assert regions.read(buffer[2:]) == 0


def test_freed_storages_are_forgotten():
    regions = Regions()
    for depth in range(1, 200):
        tensor = torch.zeros(1000)
        assert regions.read(tensor) == 0  # although the allocator reuses the same memory
        regions.write(tensor[:10], depth)
        del tensor
    gc.collect()
    assert len(regions) == 0


def test_empty_tensors_have_no_depth():
    regions = Regions()
    buffer = torch.zeros(3, 4)
    regions.write(buffer, 4)
    assert regions.read(buffer[:, 4:]) == 0
    regions.write(buffer[3:], 9)
    assert regions.read(buffer) == 4


def test_a_tensor_without_storage_is_noted():
    regions = Regions()
    assert regions.read(torch.eye(3).to_sparse()) == 0
    assert "sparse" in regions.untracked


@st.composite
def _views(draw, base):
    view = base
    for _ in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["select", "slice", "transpose", "expand", "flatten"])):
            case "select" if view.dim() > 1:
                dim = draw(st.integers(0, view.dim() - 1))
                view = view.select(dim, draw(st.integers(0, view.size(dim) - 1)))
            case "slice" if view.dim():
                dim = draw(st.integers(0, view.dim() - 1))
                start = draw(st.integers(0, view.size(dim) - 1))
                step = draw(st.integers(1, 3))
                view = view[(slice(None),) * dim + (slice(start, None, step),)]
            case "transpose" if view.dim() > 1:
                view = view.transpose(0, -1)
            case "flatten" if view.is_contiguous():
                view = view.flatten()
    return view


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_view_agrees_with_depths_kept_element_by_element(data):
    numbers = torch.arange(60).view(3, 4, 5)  # the values of a view are the positions of its elements
    regions, model = Regions(), [0] * 60
    for depth in range(1, data.draw(st.integers(2, 8))):
        view = data.draw(_views(numbers))
        covered = view.flatten().tolist()
        if data.draw(st.booleans()):
            regions.write(view, depth)
            for element in covered:
                model[element] = depth
        else:
            regions.lift(view, depth - 1)
            for element in covered:
                model[element] = max(model[element], depth - 1)
        read = data.draw(_views(numbers))
        assert regions.read(read) == max(model[element] for element in read.flatten().tolist())

"""Tests of shifted convolutions: against torch's own, whole and row by row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from arbench.models.layers.row_caches import Lines, Rows
from arbench.models.layers.shifted import (
    DOWN,
    DOWN_RIGHT,
    POINT,
    Conv,
    Extent,
    GatedResnet,
    Grow,
    ImageEntry,
    concat_elu,
)
from arbench.models.layers.weight_norm import FoldedWeights

KERNELS = [DOWN, DOWN_RIGHT, POINT, Extent(1, 1, 1), Extent(2, 0, 0)]


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def layer(kind: type, kernel: Extent, **how: int) -> tuple[Conv | Grow, FoldedWeights]:
    made = kind(kernel, 3, 4, torch.Generator().manual_seed(2), **how).double().requires_grad_(False)
    made.bias.copy_(random(4))
    return made, FoldedWeights(made)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_convolutions_are_torchs(kernel: Extent, stride: int) -> None:
    conv, ready = layer(Conv, kernel, stride=stride)
    x = random(2, 6, 8, 3)
    weight, bias = ready[conv]
    images = pad(x.permute(0, 3, 1, 2), (kernel.left, kernel.right, kernel.rows - 1, 0))
    taps = weight.view(kernel.rows, kernel.width, 3, 4).permute(3, 2, 0, 1)
    expected = conv2d(images, taps, bias, stride=stride).permute(0, 2, 3, 1)
    found = conv(x, ready)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kernel", [DOWN, DOWN_RIGHT])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_doubling_is_torchs_transposed_convolution(kernel: Extent, side: int) -> None:
    grow, ready = layer(Grow, kernel)
    x = random(2, side, side, 3)
    weight, bias = ready[grow]
    taps = weight.view(3, kernel.rows, kernel.width, 4).permute(0, 3, 1, 2)
    whole = conv_transpose2d(x.permute(0, 3, 1, 2), taps, bias, stride=2)
    # the middle column of taps stands over its pixel; columns beyond the edges are cut off
    expected = whole[:, :, : 2 * side, kernel.right : kernel.right + 2 * side].permute(0, 2, 3, 1)
    found = grow(x, ready)
    assert found.shape == (2, 2 * side, 2 * side, 4)
    assert torch.allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [DOWN, DOWN_RIGHT])
def test_rows_are_the_whole(kernel: Extent, stride: int) -> None:
    conv, ready = layer(Conv, kernel, stride=stride)
    x, rows = random(2, 6, 8, 3), Rows(ready)
    found = torch.stack([rows(conv, x[:, i]) for i in range(6)], dim=1)
    assert torch.allclose(found[:, ::stride], conv(x, ready), rtol=0, atol=1e-13)


@pytest.mark.parametrize("stride", [1, 2])
def test_pixels_are_the_whole(stride: int) -> None:
    conv, ready = layer(Conv, DOWN_RIGHT, stride=stride)
    x, lines = random(2, 4, 6, 3), Lines(ready)
    expected = conv(x, ready)
    for row in range(4):
        (lines.skip_row if row % stride else lines.next_row)(conv, 2, 6)
        for column in range(6):
            lines.put(conv, x[:, row, column], column)
            if row % stride == column % stride == 0:
                found = lines.at(conv, column)
                there = expected[:, row // stride, column // stride]
                assert torch.allclose(found, there, rtol=0, atol=1e-13)


def test_what_a_row_adds_replaces_the_bias() -> None:
    conv, ready = layer(Conv, DOWN_RIGHT)
    x, more, lines = random(2, 3), random(2, 6, 4), Lines(ready)
    lines.next_row(conv, 2, 6, more)
    lines.put(conv, x, 0)
    plain = conv(x.view(2, 1, 1, 3), ready)[:, 0, 0] - conv.bias
    assert torch.allclose(lines.at(conv, 0), plain + more[:, 0], rtol=0, atol=1e-13)


def test_the_first_pixel_sees_nothing_and_each_one_those_around_it() -> None:
    entry = ImageEntry(3, 4, torch.Generator().manual_seed(1)).double().requires_grad_(False)
    for conv in (entry.above, entry.before):
        conv.bias.copy_(random(4))
    ready, x = FoldedWeights(entry), random(1, 5, 5, 3)
    out = entry(x, ready)
    assert not out[:, 0, 0].any()
    seen = set()
    for i in range(25):
        other = x.clone()
        other[0, i // 5, i % 5] += 1
        if (entry(other, ready) != out)[0, 2, 2].any():
            seen.add(divmod(i, 5))
    assert seen == {(1, 1), (1, 2), (1, 3), (2, 1)}
    above = None
    for row in range(5):
        here = entry.row(above, 1, 5, ready)
        for column in range(5):
            left = x[:, row, column - 1] if column else None
            found = entry.step(here, left, column, ready)
            assert torch.allclose(found, out[:, row, column], rtol=0, atol=1e-13)
        above = x[:, row]


def test_concat_elu() -> None:
    assert concat_elu(torch.tensor([2.0, -1.0])).tolist() == pytest.approx([2, -0.632120, -0.864664, 1])


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="no activation 'relu'; available: concat_elu, elu"):
        GatedResnet(DOWN, 4, "relu", torch.Generator())

"""Tiles of the mixture's programs: any number of rows and components, any shape, any strides."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arbench.kernels import (
    LOGISTIC_MIXTURE_LOG_PROB,
    LOGISTIC_MIXTURE_SAMPLE,
    Kernel,
    logistic_mixture_log_prob,
)
from arbench.kernels.mixture import tiles

BOTH = pytest.mark.parametrize(
    "kernel", [LOGISTIC_MIXTURE_LOG_PROB, LOGISTIC_MIXTURE_SAMPLE], ids=lambda kernel: kernel.name
)


@BOTH
@pytest.mark.parametrize(
    ("rows", "components", "channels"),
    [(1, 1, 1), (2, 10, 1), (129, 13, 1), (151, 10, 3), (1134, 10, 1), (1, 31, 3), (3, 100, 1)],
)
def test_any_size(harness: ModuleType, kernel: Kernel, rows: int, components: int, channels: int) -> None:
    inputs = harness.make(kernel, torch.float32, rows=rows, components=components, channels=channels, seed=3)
    harness.compare(kernel, harness.scattered(inputs))


@BOTH
@given(shape=st.lists(st.integers(0, 3), min_size=0, max_size=3), data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_shape(harness: ModuleType, kernel: Kernel, shape: list[int], data: st.DataObject) -> None:
    k, channels = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 3]))
    inputs = harness.make(kernel, torch.float64, rows=math.prod(shape), components=k, channels=channels)
    order = data.draw(st.permutations(range(len(shape))))
    for key in {"params", "x", "noise"} & inputs.keys():
        x = inputs[key].reshape(shape + list(inputs[key].shape[1:]))
        last = list(range(len(shape), x.dim()))
        back = [order.index(i) for i in range(len(shape))]
        inputs[key] = x.permute([*order, *last]).contiguous().permute([*back, *last])
    found = harness.outputs(kernel.call(**inputs, backend="triton"))
    expected = harness.outputs(kernel.call(**inputs, backend="eager"))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        harness.close(a, b, (1e-12, 1e-12))


@BOTH
def test_strides_change_no_bit(harness: ModuleType, kernel: Kernel) -> None:
    inputs = harness.make(kernel, torch.float32, rows=200)
    dense = harness.outputs(kernel.call(**inputs, backend="triton"))
    strided = harness.outputs(kernel.call(**harness.scattered(inputs), backend="triton"))
    assert all(torch.equal(a, b) for a, b in zip(dense, strided, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("components", [5, 10, 11, 21])
def test_two_narrow_blocks_agree_with_a_wide_one(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch, components: int, channels: int
) -> None:
    inputs = harness.make(LOGISTIC_MIXTURE_LOG_PROB, torch.float64, rows=3, components=components, channels=channels)
    assert tiles.component_blocks(components)[1] > 0
    split = logistic_mixture_log_prob(**inputs, backend="triton")
    monkeypatch.setattr(tiles, "component_blocks", lambda k: (32, 0))
    harness.close(split, logistic_mixture_log_prob(**inputs, backend="triton"), (1e-13, 1e-13))


def test_blocks_contain_every_component_and_few_others() -> None:
    sizes = {k: tiles.component_blocks(k) for k in range(1, 65)}
    assert [sizes[k] for k in (1, 5, 8, 10, 11, 13, 30)] == [
        (1, 0),
        (4, 1),
        (8, 0),
        (8, 2),
        (8, 4),
        (16, 0),
        (32, 0),
    ]
    assert all(k <= sum(sizes[k]) < 4 / 3 * k + 0.5 for k in sizes)

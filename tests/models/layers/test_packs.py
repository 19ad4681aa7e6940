"""Packed weights are kept until a bit of the model's own changes, by whatever route."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from arbench.models import Source, resolve

ROUTES: dict[str, Callable[[nn.Parameter, Tensor], object]] = {
    "data": lambda weight, new: weight.data.copy_(new),
    "memory": lambda weight, new: weight.detach().numpy().__setitem__(..., new.numpy()),
    "another tensor": lambda weight, new: setattr(weight, "data", new),
    "turned around": lambda weight, new: setattr(weight, "data", new.mT.contiguous().mT if new.dim() > 1 else new),
}


def shares(source: Source) -> object:
    return source._packs.of(source._weights(), torch.float32, 1)  # type: ignore[union-attr, operator]


def matrices(source: Source) -> list[nn.Parameter]:
    """Return the parameters that are packed."""
    known = {one.data_ptr() for one in source._weights().tensors()}  # type: ignore[operator]
    return [one for one in source.parameters() if one.data_ptr() in known]


@pytest.mark.parametrize("route", ROUTES)
def test_one_changed_number_of_any_tensor_is_found(route: str) -> None:
    source = resolve("wavenet:tiny").build(0)
    found = matrices(source)
    assert len(found) == 8
    for weight in found:
        before = shares(source)
        new = weight.detach().clone(memory_format=torch.contiguous_format)
        ROUTES[route](weight, new)
        assert shares(source) is before, "the same numbers are packed once"
        new = weight.detach().clone(memory_format=torch.contiguous_format)
        new.view(torch.int32).view(-1)[-1] ^= 1  # its lowest bit
        ROUTES[route](weight, new)
        assert shares(source) is not before


@pytest.mark.parametrize(("old", "new"), [(0.0, -0.0), (0.0, math.nan), (math.nan, 0.0)])
def test_bits_decide_and_not_values(old: float, new: float) -> None:
    source = resolve("wavenet:tiny").build(0)
    source.out_bias.data.fill_(old)  # type: ignore[union-attr]
    before = shares(source)
    assert shares(source) is before
    source.out_bias.data.fill_(new)  # type: ignore[union-attr]
    assert shares(source) is not before

"""Tests of what both directions of a pixel flow share: initialisation from data, weight normalisation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from arbench.models.iaf import IAF
from arbench.models.maf import MAF

CONFIG = dict(pixels=16, layers=3, hidden=(30, 45), levels=4)
N = 16


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def given(rows: int = 3) -> Tensor:
    return torch.randn(rows, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("cls", [MAF, IAF])
def test_initialisation_normalises_what_enters_each_unit(cls: type[MAF | IAF]) -> None:
    """Each unit's input has mean 0 and variance 1 on the data; each layer's outputs a tenth of that scale."""
    model = cls(**CONFIG).double()
    f, _ = model.observe(N, range(64), seed=1) if cls is MAF else (given(64), {})
    f = 2 * f.double() + 1
    model.initialise(f, model.encode({}, N))
    for layer in model.flow.layers:
        entering: list[Tensor] = []
        h = f[:, :-1]
        for weight, bias in layer.ready(N):
            h = (torch.relu(h) if entering else h) @ weight[: h.shape[1]] + bias
            entering.append(h)
        for i, a in enumerate(entering):
            last = i == len(entering) - 1
            a = a[:, 2:] if last else a  # the first element's outputs have no input
            scale = 0.1 if last else 1.0
            alive = a.std(0, correction=0) > 1e-9  # a unit may read only units that are all off
            assert alive.double().mean() > 0.8
            assert a.mean(0).abs().max() <= 1e-9
            torch.testing.assert_close(
                a.std(0, correction=0)[alive], torch.full_like(a[0, alive], scale), rtol=1e-9, atol=0
            )
        mean, log_scale = layer(f[:, :-1].unsqueeze(-1), layer.ready(N)).unbind(-1)
        f = f * log_scale.exp() + mean
    assert model(f, model.encode({}, N)).isfinite().all()


def test_only_the_direction_of_weights_counts() -> None:
    model = MAF(**CONFIG).double()
    x = given()
    before = model(x, model.encode({}, N))
    for layer in model.flow.layers:
        for product in layer.products:
            product.weight.mul_(3)
    torch.testing.assert_close(model(x, model.encode({}, N)), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("rows", "n"), [(1, 16), (8, 12)])
def test_initialisation_needs_several_whole_events(rows: int, n: int) -> None:
    model = MAF(**CONFIG).double()
    with pytest.raises(ValueError, match=f"two or more events of 16 elements, got {rows} of {n}$"):
        model.initialise(given(rows)[:, :n], model.encode({}, n))

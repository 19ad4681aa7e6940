"""Tests of the affine flow: composition, its layers one after the other, misuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from arbench.models.layers.affine_flow import AffineFlow, compose

N = 16
CONFIG = dict(elements=N, layers=3, hidden=(30, 45))


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def flow() -> AffineFlow:
    """Return a flow far from the identity, in float64."""
    generator = torch.Generator().manual_seed(1)
    model = AffineFlow(**CONFIG, generator=generator)
    for name, parameter in model.named_parameters():
        scale = 0.3 if "bias" in name else 0.0
        parameter.add_(scale * torch.randn(parameter.shape, generator=generator)).mul_(1.5)
    return model.double()


def given(rows: int = 3) -> Tensor:
    return torch.randn(rows, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_composition_is_one_affine_map_after_the_other() -> None:
    mean, log_scale = given(2)
    again, log_again = given(4)[2:]
    x = torch.linspace(-2, 2, N, dtype=torch.float64)
    once = x * log_scale.exp() + mean
    total_mean, total_scale = compose(compose(None, mean, log_scale), again, log_again)
    torch.testing.assert_close(x * total_scale.exp() + total_mean, once * log_again.exp() + again)


def test_a_flow_is_its_layers_one_after_the_other() -> None:
    """Each layer is one perceptron, here with its weights written out."""
    model = flow()
    f = given()
    mean, log_scale = model(f, model.ready(N))
    g, total = f, torch.zeros_like(f)
    for layer in model.layers:
        h = g
        for i, (product, gain) in enumerate(zip(layer.products, layer.gains, strict=True)):
            v = product.weight
            norm = v.norm(dim=0)
            w = torch.where(norm > 0, v / norm, 0) * gain
            h = (torch.relu(h) if i else h) @ w + product.bias
        m, s = h.view(-1, N, 2).unbind(-1)
        g, total = g * s.exp() + m, total + s
    torch.testing.assert_close(f * log_scale.exp() + mean, g, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(log_scale, total, rtol=1e-11, atol=1e-11)


def test_a_flow_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a flow needs at least one layer, got 0$"):
        AffineFlow(elements=N, layers=0, hidden=(4,), generator=torch.Generator())

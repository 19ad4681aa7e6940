"""Tests of weight normalisation: unit directions times gains, and gains and biases from data."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from arbench.models.layers.weight_norm import Fitting, FoldedWeights, WeightNormed


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def layer(inputs: int, outputs: int, **how: float) -> WeightNormed:
    return WeightNormed(inputs, outputs, torch.Generator().manual_seed(1), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("spread", [1, 3])
def test_gains_are_the_norms(spread: int) -> None:
    made = layer(7, 5, spread=spread)
    with torch.no_grad():
        made.gain.copy_(torch.tensor([0.1, -2.0, 3.0, 0.0, 1.0]))
        made.direction.mul_(17)
    weight, _ = made.folded()
    assert weight.shape == (7, spread * 5)
    norms = weight.unflatten(1, (spread, 5)).square().sum((0, 1)).sqrt()
    assert torch.allclose(norms, made.gain.abs())


def test_it_is_torchs_weight_norm() -> None:
    """Gains and directions are the g and v of torch's parametrisation of a linear layer."""
    made, linear = layer(6, 4), nn.Linear(6, 4)
    with torch.no_grad():
        linear.weight.copy_(made.direction[:, 0].T)
        made.gain.copy_(random(4).abs() + 0.5)
        made.bias.copy_(linear.bias)
    other = torch.nn.utils.parametrizations.weight_norm(linear)
    other.parametrizations.weight.original0.data.copy_(made.gain.unsqueeze(1))
    x = random(9, 6)
    assert torch.allclose(FoldedWeights(made)(made, x), other(x), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_outputs_start_with_the_inputs_mean_square(scale: float) -> None:
    made = layer(400, 300, scale=scale)
    x = random(200, 400)
    square = float(FoldedWeights(made)(made, x).detach().square().mean())
    assert square == pytest.approx(scale**2 * float(x.square().mean()), rel=0.05)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_fitted_outputs_are_standard(scale: float) -> None:
    made = layer(20, 6, scale=scale)
    x = 5 + 4 * random(50, 11, 20)
    first = Fitting(made)(made, x)
    again = FoldedWeights(made)(made, x)
    assert torch.equal(first, again)
    assert torch.allclose(again.mean((0, 1)), torch.zeros(6), atol=1e-5)
    assert torch.allclose(again.std((0, 1), correction=0), torch.full((6,), scale), rtol=1e-3)


def test_fitting_a_constant_is_finite() -> None:
    made = layer(3, 2)
    assert Fitting(made)(made, torch.ones(4, 3)).isfinite().all()

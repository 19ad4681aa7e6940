"""The normal distribution: SciPy's density and distribution function, an exact inverse, the floor, extremes."""

from __future__ import annotations

from math import exp

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import Logistic, Normal
from arbench.distributions.normal import LOG_SCALE_FLOOR

LOG_SCALES = [LOG_SCALE_FLOOR, -3.0, 0.0, 5.0]
T = torch.tensor([[-30.0, -5, -1, 0, 0.1, 5, 30]], dtype=torch.float64)


def at(mean: float, log_scale: float, n: int = 1) -> torch.Tensor:
    return torch.tensor([mean, log_scale], dtype=torch.float64).expand(1, n, 2)


@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("mean", [-2.0, 0.0, 1e3])
def test_density_is_scipys(mean: float, log_scale: float) -> None:
    x = mean + exp(log_scale) * T
    found = Normal().log_prob(at(mean, log_scale, T.shape[1]), x)
    expected = torch.from_numpy(stats.norm.logpdf(x.numpy(), mean, exp(log_scale)))
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("mean", [-2.0, 0.0, 1e3])
def test_distribution_function_is_scipys(mean: float, log_scale: float) -> None:
    x = mean + exp(log_scale) * T
    found = Normal().cdf(at(mean, log_scale, T.shape[1]), x)
    expected = torch.from_numpy(stats.norm.cdf(x.numpy(), mean, exp(log_scale)))
    assert torch.allclose(found, expected, rtol=1e-9, atol=0)


def test_draws_have_their_distribution() -> None:
    x = Normal().draw(at(0.5, -1.0), Normal().noise(4, [0], range(20_000)))
    assert stats.kstest(x[0].numpy(), stats.norm(0.5, exp(-1.0)).cdf).pvalue > 1e-4


@given(st.floats(-5, 5), st.floats(-7, 5), st.integers(0, 10**6))
def test_inverse(mean: float, log_scale: float, seed: int) -> None:
    distribution, params = Normal(), at(mean, log_scale, 5)
    z = distribution.noise(seed, [0], range(5))
    again, log_determinant = distribution.invert(params, distribution.draw(params, z))
    assert torch.allclose(again, z, rtol=1e-10, atol=1e-10 * (1 + abs(mean)) * max(1, 2**-log_scale))
    with torch.enable_grad():
        x = distribution.draw(params, z).requires_grad_()
        (slope,) = torch.autograd.grad(distribution.invert(params, x)[0].sum(), x)
    assert torch.allclose(slope.log(), log_determinant, rtol=0, atol=1e-12)


def test_a_scale_below_the_floor_is_the_floor() -> None:
    """The floor applies to the draw, the density, the inverse and the distribution function."""
    distribution, low, floor = Normal(), at(0.3, -40.0, 20), at(0.3, LOG_SCALE_FLOOR, 20)
    z = distribution.noise(2, [0], range(20))
    x = distribution.draw(low, z)
    assert torch.equal(x, distribution.draw(floor, z))
    assert torch.equal(distribution.log_prob(low, x), distribution.log_prob(floor, x))
    assert torch.equal(distribution.cdf(low, x), distribution.cdf(floor, x))
    assert all(map(torch.equal, distribution.invert(low, x), distribution.invert(floor, x)))


def test_a_flows_logistic_has_no_floor() -> None:
    z = Logistic().noise(2, [0], range(20))
    assert Logistic().draw(at(0.0, -40.0, 20), z).abs().max() < 1e-15


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("log_scale", [-1e4, -20.0, *LOG_SCALES])
def test_far_tails_are_finite(log_scale: float, dtype: torch.dtype) -> None:
    params = at(0.0, log_scale, 4).to(dtype).clone().requires_grad_()
    x = torch.tensor([[-1e6, -1.0, 1.0, 1e6]], dtype=dtype)
    found = Normal().log_prob(params, x)
    found.sum().backward()
    assert found.isfinite().all()
    assert params.grad is not None
    assert params.grad.isfinite().all()
    assert Normal().cdf(params, x).isfinite().all()


def test_gradient() -> None:
    params = torch.tensor([[[0.3, -1.0], [-2.0, 0.7]]], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.1, 4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Normal().log_prob, (params, x))

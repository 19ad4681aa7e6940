"""The logistic distribution: SciPy's density, an exact inverse, extremes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from arbench.distributions import Logistic

LOG_SCALES = [-20.0, -3.0, 0.0, 5.0]


def at(mean: float, log_scale: float, n: int = 1) -> torch.Tensor:
    return torch.tensor([mean, log_scale], dtype=torch.float64).expand(1, n, 2)


@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("mean", [-2.0, 0.0, 1e3])
def test_density_is_scipys(mean: float, log_scale: float) -> None:
    scale = float(torch.tensor(log_scale).double().exp())
    t = torch.tensor([[-700.0, -30, -21, -1, 0, 0.1, 5, 21, 700]], dtype=torch.float64)
    x = mean + scale * t
    found = Logistic().log_prob(at(mean, log_scale, t.shape[1]), x)
    expected = torch.from_numpy(stats.logistic.logpdf(x.numpy(), mean, scale))
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("log_scale", LOG_SCALES)
def test_density_integrates_to_one(log_scale: float) -> None:
    params = at(0.0, log_scale)
    scale = float(params[0, 0, 1].exp())

    def density(t: float) -> float:
        return scale * float(Logistic().log_prob(params, torch.tensor([[scale * t]], dtype=torch.float64)).exp())

    total, _ = integrate.quad(density, -40, 40, points=[0], epsabs=1e-12)
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("log_scale", LOG_SCALES)
def test_far_tails_are_finite(log_scale: float, dtype: torch.dtype) -> None:
    params = at(0.0, log_scale, 4).to(dtype).clone().requires_grad_()
    found = Logistic().log_prob(params, torch.tensor([[-1e6, -1.0, 1.0, 1e6]], dtype=dtype))
    found.sum().backward()
    assert found.isfinite().all()
    assert params.grad is not None
    assert params.grad.isfinite().all()


def test_draws_have_their_distribution() -> None:
    x = Logistic().draw(at(0.5, -1.0), Logistic().noise(4, [0], range(20_000)))
    distribution = stats.logistic(0.5, float(torch.tensor(-1.0).exp()))
    assert stats.kstest(x[0].numpy(), distribution.cdf).pvalue > 1e-4


@given(st.floats(-5, 5), st.floats(-7, 5), st.integers(0, 10**6))
def test_inverse(mean: float, log_scale: float, seed: int) -> None:
    distribution, params = Logistic(), at(mean, log_scale, 5)
    z = distribution.noise(seed, [0], range(5))
    again, log_determinant = distribution.invert(params, distribution.draw(params, z))
    assert torch.allclose(again, z, rtol=1e-10, atol=1e-10 * (1 + abs(mean)) * max(1, 2**-log_scale))
    with torch.enable_grad():
        x = distribution.draw(params, z).requires_grad_()
        (slope,) = torch.autograd.grad(distribution.invert(params, x)[0].sum(), x)
    assert torch.allclose(slope.log(), log_determinant, rtol=0, atol=1e-12)


def test_density_is_the_standard_one_moved_by_the_inverse() -> None:
    """Log p(x) = log p(z) + log |dz/dx|."""
    distribution, params = Logistic(), at(-0.7, 1.3, 50)
    x = distribution.draw(params, distribution.noise(1, [0], range(50)))
    z, log_determinant = distribution.invert(params, x)
    standard = distribution.log_prob(at(0.0, 0.0, 50), z.squeeze(-1))
    assert torch.allclose(distribution.log_prob(params, x), standard + log_determinant, rtol=0, atol=1e-12)


def test_gradient() -> None:
    params = torch.tensor([[[0.3, -1.0], [-2.0, 0.7]]], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.1, 4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Logistic().log_prob, (params, x))

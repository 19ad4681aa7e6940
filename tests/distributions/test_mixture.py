"""Continuous mixtures: densities from SciPy's components, draws, margins, extremes."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from arbench.distributions import DiscretizedLogisticMixture, GaussianMixture, LogisticMixture
from arbench.distributions.mixture import Mixture

PAIRS: list[Any] = [(GaussianMixture, stats.norm), (LogisticMixture, stats.logistic)]
COMPONENTS = [(0.3, -0.9, -1.0), (0.0, 0.4, -2.5), (-0.2, 1.2, -1.5)]
EXTREMES = [(0.0, 5.0, -20.0), (1e4, -0.3, 0.0), (-1e4, 0.0, 5.0)]


def mixture(*components: tuple[float, float, float]) -> torch.Tensor:
    """Return parameters (1, 1, 3 K) in float64 from (logit, mean, log-scale) of each component."""
    return torch.tensor(components, dtype=torch.float64).T.reshape(1, 1, -1)


def by_scipy(distribution: Any, what: str, x: Any) -> Any:
    """Return the weighted sum of SciPy's ``what`` over the components."""
    weight = np.exp([logit for logit, *_ in COMPONENTS])
    each = [getattr(distribution(mean, exp(log_scale)), what)(x) for _, mean, log_scale in COMPONENTS]
    return sum(w * part for w, part in zip(weight / weight.sum(), each, strict=True))


@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
def test_density_and_distribution_function_are_scipys(kind: Any, distribution: Any) -> None:
    x = torch.linspace(-6, 6, 61, dtype=torch.float64)[None]
    params = mixture(*COMPONENTS).expand(1, 61, -1)
    found = kind(3).log_prob(params, x).exp(), kind(3).cdf(params, x)
    expected = (torch.from_numpy(by_scipy(distribution, what, x.numpy())) for what in ("pdf", "cdf"))
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
def test_density_integrates_to_one(kind: Any, distribution: Any) -> None:
    params = mixture(*COMPONENTS)

    def density(t: float) -> float:
        return float(kind(3).log_prob(params, torch.tensor([[t]], dtype=torch.float64)).exp())

    total, _ = integrate.quad(density, -15, 15, points=[-0.9, 0.4, 1.2], epsabs=1e-10, limit=200)
    assert total == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
def test_draws_have_their_distribution(kind: Any, distribution: Any) -> None:
    draws = 20_000
    x = kind(3).draw(mixture(*COMPONENTS).expand(1, draws, -1), kind(3).noise(7, [0], range(draws)))
    assert stats.kstest(x[0].numpy(), lambda t: by_scipy(distribution, "cdf", t)).pvalue > 1e-4


@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
def test_one_component_is_its_distribution(kind: Any, distribution: Any) -> None:
    mixed, params = kind(1), mixture((7.0, 0.4, -0.5))
    z = mixed.noise(1, [0], range(9))
    x = mixed.draw(params.expand(1, 9, 3), z)
    assert torch.equal(x, mixed.component.draw(params[..., 1:].expand(1, 9, 2), z[..., 1:]))
    expected = mixed.component.log_prob(params[..., 1:], x)
    assert torch.allclose(mixed.log_prob(params, x), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
@given(
    components=st.lists(st.tuples(st.floats(-4, 4), st.floats(-3, 3), st.floats(-6, 2)), min_size=2, max_size=4),
    seed=st.integers(0, 10**6),
    signs=st.integers(0, 2**12 - 1),
)
def test_margins_are_honest_and_not_timid(
    kind: Any, distribution: Any, components: list[tuple[float, float, float]], seed: int, signs: int
) -> None:
    """Moving logits by less than half the margin keeps the component; moving the best two by more changes it."""
    k = len(components)
    mixed: Mixture = kind(k)
    params, z = mixture(*components), mixed.noise(seed, [0], range(1))
    margin = mixed.margin(params, z)
    assert (margin >= 0).all()

    def chosen(params: torch.Tensor) -> int:
        """Return the component, seen from draws of narrow components far apart."""
        apart = torch.cat([params[..., :k], 1e6 * torch.arange(k)[None, None], torch.zeros(1, 1, k)], -1)
        return round(float(mixed.draw(apart, z)) / 1e6)

    before = chosen(params)
    sign = torch.tensor([1.0 if signs >> i & 1 else -1.0 for i in range(3 * k)]).double()
    assert chosen(params + 0.499 * margin.unsqueeze(-1) * sign) == before
    best = (params[..., :k] + z[..., :k]).topk(2, dim=-1).indices[0, 0]
    moved = params.clone()
    moved[0, 0, best[0]] -= 0.501 * float(margin) + 1e-9
    moved[0, 0, best[1]] += 0.501 * float(margin) + 1e-9
    assert chosen(moved) != before


@pytest.mark.parametrize(("kind", "floor"), [(GaussianMixture, -9.0), (LogisticMixture, -7.0)])
def test_a_scale_below_the_floor_is_the_floor(kind: Any, floor: float) -> None:
    distribution = kind(2)
    low, held = (mixture((0.0, 0.3, s), (0.1, -0.3, s)).expand(1, 20, -1) for s in (-40.0, floor))
    z = distribution.noise(2, [0], range(20))
    x = distribution.draw(low, z)
    assert torch.equal(x, distribution.draw(held, z))
    assert torch.equal(distribution.log_prob(low, x), distribution.log_prob(held, x))
    assert torch.equal(distribution.cdf(low, x), distribution.cdf(held, x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
def test_far_tails_are_finite(kind: Any, distribution: Any, dtype: torch.dtype) -> None:
    params = mixture(*EXTREMES).to(dtype).expand(1, 5, -1).clone().requires_grad_()
    x = torch.tensor([[-1e6, -1.0, 0.0, 5.0, 1e6]], dtype=dtype)
    found = kind(3).log_prob(params, x)
    found.sum().backward()
    assert found.isfinite().all()
    assert params.grad is not None
    assert params.grad.isfinite().all()
    assert kind(3).cdf(params, x).isfinite().all()
    assert kind(3).draw(params, kind(3).noise(0, [0], range(5), dtype)).isfinite().all()


@pytest.mark.parametrize(("kind", "distribution"), PAIRS)
def test_gradient(kind: Any, distribution: Any) -> None:
    params = mixture(*COMPONENTS).expand(1, 4, 9).clone().requires_grad_()
    x = torch.tensor([[-2.0, 0.1, 0.5, 3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(kind(3).log_prob, (params, x))


def test_many_levels_are_nearly_continuous() -> None:
    """The mass of a bin in the discretized mixture is the continuous density times its width."""
    params, levels = mixture(*COMPONENTS), 65536
    inner = torch.arange(20_000, 45_000, 500)[None]
    x = inner.double() * (2 / (levels - 1)) - 1
    expected = LogisticMixture(3).log_prob(params, x) + np.log(2 / (levels - 1))
    found = DiscretizedLogisticMixture(levels, 3).log_prob(params, inner)
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [GaussianMixture, LogisticMixture])
def test_no_component_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="at least 1 component, got 0"):
        kind(0)

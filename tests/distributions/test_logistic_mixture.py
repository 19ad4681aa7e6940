"""The discretized mixture of logistics: normalised up to its edges, with rounded draws that follow it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import DiscretizedLogisticMixture


def mixture(*components: tuple[float, float, float]) -> torch.Tensor:
    """Return parameters (1, 1, 3 K) in float64 from (logit, mean, log-scale) of each component."""
    return torch.tensor(components, dtype=torch.float64).T.reshape(1, 1, -1)


def log_probs(levels: int, params: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of every level, (levels,)."""
    distribution = DiscretizedLogisticMixture(levels, params.shape[-1] // 3)
    return distribution.log_prob(params.expand(1, levels, -1), torch.arange(levels)[None])[0]


@pytest.mark.parametrize("levels", [2, 3, 4, 17, 256, 65536])
@pytest.mark.parametrize("log_scale", [-20.0, -14.0, -7.0, -3.0, 0.0, 5.0])
@pytest.mark.parametrize("mean", [-5.0, -1.0, 0.0, 0.3, 1.0, 7.0])
def test_probabilities_sum_to_one(levels: int, log_scale: float, mean: float) -> None:
    found = log_probs(levels, mixture((0.0, mean, log_scale)))
    assert found.isfinite().all()
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
def test_mixtures_sum_to_one(logit: float) -> None:
    found = log_probs(256, mixture((0.0, -0.4, -3.0), (logit, 0.6, -5.0), (-logit, 2.0, 1.0)))
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_bins_have_the_mass_of_the_logistic_around_them(levels: int) -> None:
    mean, scale = 0.2, 0.3
    params = mixture((0.0, mean, float(torch.tensor(scale).double().log())))
    edges = torch.linspace(-1, 1, levels, dtype=torch.float64)[:-1] + 1 / (levels - 1)
    below = torch.from_numpy(stats.logistic.cdf([-torch.inf, *edges, torch.inf], mean, scale))
    assert torch.allclose(log_probs(levels, params).exp(), below.diff(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("levels", [2, 4, 30])
def test_draws_have_their_probabilities(levels: int) -> None:
    """A tenth of the mass or more lies beyond each end, so the edge bins are tested too."""
    params = mixture((0.3, -0.9, -1.0), (0.0, 0.4, -2.5), (-0.2, 1.2, -1.5))
    distribution, draws = DiscretizedLogisticMixture(levels, 3), 20_000
    x = distribution.draw(params.expand(1, draws, -1), distribution.noise(7, [0], range(draws)))
    expected = log_probs(levels, params).exp() * draws
    seen = torch.bincount(x[0], minlength=levels).double()
    assert len(seen) == levels
    assert expected.min() >= 5
    assert stats.chisquare(seen, expected * (draws / expected.sum())).pvalue > 1e-4


@given(
    st.integers(2, 40),
    st.lists(st.tuples(st.floats(-4, 4), st.floats(-3, 3), st.floats(-6, 2)), min_size=1, max_size=3),
    st.integers(0, 10**6),
    st.integers(0, 2**9 - 1),
)
def test_margins_are_honest(levels: int, components: list[tuple[float, float, float]], seed: int, signs: int) -> None:
    """Moving the parameters by less than half the margin, with any signs, keeps the draw."""
    distribution, params = DiscretizedLogisticMixture(levels, len(components)), mixture(*components)
    z = distribution.noise(seed, [0], range(1))
    margin = distribution.margin(params, z)
    assert (margin >= 0).all()
    sign = torch.tensor([1.0 if signs >> i & 1 else -1.0 for i in range(params.shape[-1])])
    moved = params + 0.499 * margin.unsqueeze(-1) * sign.double()
    assert torch.equal(distribution.draw(moved, z), distribution.draw(params, z))


@pytest.mark.parametrize("way", [-1.0, 1.0])
def test_margins_are_not_timid(way: float) -> None:
    """Near a boundary, moving mean and scale by slightly more than the margin changes the draw."""
    distribution, changed = DiscretizedLogisticMixture(256, 1), 0
    for seed in range(40):
        params, z = mixture((0.0, 0.1, -4.0)), distribution.noise(seed, [0], range(1))
        step = way * distribution.margin(params, z) * 1.01
        outward = z[..., -1].sign()
        moved = params + torch.stack([torch.zeros_like(step), step, step * outward], dim=-1)
        changed += int(not torch.equal(distribution.draw(moved, z), distribution.draw(params, z)))
    assert changed >= 10


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_good_as_its_parameters(kind: torch.dtype) -> None:
    """Sixteen-bit levels are drawn and scored in float32, from parameters rounded once."""
    distribution = DiscretizedLogisticMixture(65536, 2)
    params = mixture((0.3, -0.2, -3.0), (0.0, 0.4, -5.0)).expand(1, 500, 6).to(kind)
    z = distribution.noise(1, [0], range(500), kind)
    x = distribution.draw(params, z)
    assert x.min() >= 0
    assert x.max() < 65536
    assert ((x - distribution.draw(params.double(), z.double())).abs() <= 1).all()
    exact = distribution.log_prob(params.double(), x)
    assert torch.allclose(distribution.log_prob(params, x).double(), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_are_finite_at_the_extremes(dtype: torch.dtype) -> None:
    for log_scale in (-20.0, -7.0, 5.0):
        params = mixture((0.0, 5.0, log_scale), (3.0, -0.3, 0.0)).to(dtype).expand(1, 4, 6)
        params = params.clone().requires_grad_()
        x = torch.tensor([[0, 1, 254, 255]])
        DiscretizedLogisticMixture(256, 2).log_prob(params, x).sum().backward()
        assert params.grad is not None
        assert params.grad.isfinite().all(), log_scale


def test_gradient() -> None:
    params = mixture((0.3, -0.2, -1.0), (0.0, 0.8, -2.0)).expand(1, 4, 6).clone().requires_grad_()
    x = torch.tensor([[0, 3, 9, 15]])
    distribution = DiscretizedLogisticMixture(16, 2)
    assert torch.autograd.gradcheck(lambda p: distribution.log_prob(p, x), params)


@pytest.mark.parametrize(("levels", "components"), [(1, 1), (2, 0)])
def test_too_few_are_refused(levels: int, components: int) -> None:
    with pytest.raises(ValueError, match=f"got {levels} and {components}"):
        DiscretizedLogisticMixture(levels, components)

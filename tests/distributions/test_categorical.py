"""Softmax draws: distribution, margins, extremes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import Categorical


def logits(levels: int, spread: float, seed: int = 0) -> torch.Tensor:
    """Return logits (1, 1, levels) in float64."""
    g = torch.Generator().manual_seed(seed)
    return spread * torch.randn(1, 1, levels, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("levels", [1, 2, 3, 17, 256])
@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_probabilities_sum_to_one(levels: int, spread: float, dtype: torch.dtype) -> None:
    params = logits(levels, spread).to(dtype).expand(1, levels, levels)
    log_prob = Categorical(levels).log_prob(params, torch.arange(levels)[None])
    assert log_prob.isfinite().all()
    assert abs(float(log_prob.double().exp().sum()) - 1) <= 1e-12 + 20 * torch.finfo(dtype).eps


@pytest.mark.parametrize("levels", [2, 5, 40])
def test_draws_have_their_probabilities(levels: int) -> None:
    distribution, params, draws = Categorical(levels), logits(levels, 1.0), 20_000
    x = distribution.draw(params, distribution.noise(3, [0], range(draws)))
    expected = draws * params[0, 0].softmax(-1)
    keep = expected >= 5
    seen = torch.bincount(x[0], minlength=levels).double()
    seen, expected = (torch.cat([v[keep], v[~keep].sum()[None]]) for v in (seen, expected))
    assert stats.chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 1e-4


def test_a_tie_goes_to_the_first() -> None:
    distribution, zero = Categorical(3), torch.zeros(1, 1, 3)
    assert int(distribution.draw(zero, zero)) == 0
    assert float(distribution.margin(zero, zero)) == 0


def test_one_level_is_certain() -> None:
    distribution = Categorical(1)
    z = distribution.noise(0, [0], range(4))
    assert torch.equal(distribution.draw(z, z), torch.zeros(1, 4, dtype=torch.long))
    assert distribution.margin(z, z).isinf().all()
    assert torch.equal(distribution.log_prob(z, torch.zeros(1, 4, dtype=torch.long)), torch.zeros(1, 4).double())


@given(st.integers(2, 9), st.integers(0, 10**6), st.floats(0, 30))
def test_margins_are_honest(levels: int, seed: int, spread: float) -> None:
    """Moving the logits by half a margin keeps the draw; a little more can change it."""
    distribution, params = Categorical(levels), logits(levels, spread, seed)
    z = distribution.noise(seed, [0], range(1))
    margin, x = distribution.margin(params, z), distribution.draw(params, z)
    worst = torch.full_like(params, 0.5).scatter(-1, x.unsqueeze(-1), -0.5) * margin.unsqueeze(-1)
    assert torch.equal(distribution.draw(params + 0.999 * worst, z), x)
    assert not torch.equal(distribution.draw(params + (1.001 * worst + 1e-12 * worst.sign()), z), x)


def test_gradient() -> None:
    x = torch.tensor([[0, 2, 3, 3]])
    params = logits(4 * 4, 2.0).view(1, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: Categorical(4).log_prob(p, x), params)


def test_zero_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="levels must be at least 1, got 0"):
        Categorical(0)

"""Probabilities, draws, margins and inverses of each law."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import Categorical, DiscretizedLogisticMixture, Distribution, Logistic, uniforms

FINITE = [Categorical(7), Categorical(1), DiscretizedLogisticMixture(5, 3), DiscretizedLogisticMixture(2, 1)]
DRAWS = 20_000


def parameters(law: Distribution, seed: int, spread: float = 1.0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return spread * torch.randn(1, 1, law.params_width, generator=g, dtype=torch.float64)


def probabilities(law: Distribution, params: torch.Tensor) -> torch.Tensor:
    levels = law.levels  # type: ignore[attr-defined]
    return law.log_prob(params.expand(levels, 1, -1), torch.arange(levels)[:, None]).exp()[:, 0]


@pytest.mark.parametrize("law", FINITE)
@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 30.0, 1e3])
def test_probabilities_sum_to_one(law: Distribution, spread: float) -> None:
    for seed in range(5):
        total = probabilities(law, parameters(law, seed, spread)).sum()
        assert abs(float(total) - 1) < 1e-9


@pytest.mark.parametrize("law", FINITE)
def test_draws_follow_the_probabilities(law: Distribution) -> None:
    params = parameters(law, 1)
    x = law.draw(params.expand(1, DRAWS, -1), law.noise(2, [0], range(DRAWS)))
    expected = probabilities(law, params).numpy() * DRAWS
    seen = np.bincount(x[0].numpy(), minlength=len(expected))
    keep = expected >= 5
    assert seen[~keep].sum() <= 5 * max((~keep).sum(), 1) + 20
    if keep.sum() > 1:
        total = seen[keep].sum()
        p = stats.chisquare(seen[keep], expected[keep] * total / expected[keep].sum()).pvalue
        assert p > 1e-4


def test_edge_bins_hold_the_tails() -> None:
    law = DiscretizedLogisticMixture(256, 1)
    params = torch.tensor([[[0.0, -9.0, 0.0]]], dtype=torch.float64)
    assert float(law.log_prob(params, torch.tensor([[0]])).exp()) > 0.99
    middle = float(law.log_prob(params, torch.tensor([[100]])))
    low, high = (2 * (100 + d) / 255 - 1 for d in (-0.5, 0.5))
    assert middle == pytest.approx(
        np.log(stats.logistic.cdf(high, -9) - stats.logistic.cdf(low, -9)), rel=1e-9
    )


@pytest.mark.parametrize("law", [Categorical(7), DiscretizedLogisticMixture(9, 3)])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0, 0.49))
def test_a_change_below_half_the_margin_changes_no_draw(law: Distribution, seed: int, share: float) -> None:
    params, z = parameters(law, seed).expand(1, 50, -1), law.noise(seed, [0], range(50))
    g = torch.Generator().manual_seed(seed + 1)
    sign = torch.rand(params.shape, generator=g, dtype=torch.float64).mul(2).sub(1).sign()
    moved = params + sign * share * law.margin(params, z)[..., None].clamp_max(0.02)
    assert torch.equal(law.draw(moved, z), law.draw(params, z))


def test_logistic_is_scipys_and_inverts() -> None:
    law = Logistic()
    params, z = parameters(law, 3).expand(1, 100, -1), law.noise(4, [0], range(100))
    x = law.draw(params, z)
    mean, scale = float(params[0, 0, 0]), float(params[0, 0, 1].exp())
    expected = stats.logistic.logpdf(x.numpy(), mean, scale)
    assert np.allclose(law.log_prob(params, x).numpy(), expected, rtol=1e-12, atol=1e-12)
    again, log_determinant = law.invert(params, x)
    assert torch.allclose(again, z, atol=1e-12)
    assert torch.allclose(log_determinant, -params[..., 1])
    with pytest.raises(TypeError, match="continuous"):
        law.margin(params, z)
    with pytest.raises(TypeError, match="no inverse"):
        Categorical(3).invert(params, x)


@pytest.mark.parametrize("law", [Categorical(4), DiscretizedLogisticMixture(4, 2), Logistic()])
def test_gradients(law: Distribution) -> None:
    params = parameters(law, 5).expand(1, 6, -1).clone().requires_grad_()
    x = torch.arange(6)[None] % 4 if law.finite else torch.linspace(-2, 2, 6).double()[None]
    assert torch.autograd.gradcheck(lambda p: law.log_prob(p, x), params)


def test_noise_is_addressed_by_row_and_element() -> None:
    whole = uniforms(9, range(4), range(20), 5)
    assert ((whole > 0) & (whole < 1)).all()
    assert torch.equal(uniforms(9, [2], range(7, 13), 5), whole[2:3, 7:13])
    assert whole.unique().numel() == whole.numel()
    assert not torch.equal(uniforms(10, range(4), range(20), 5), whole)
    assert stats.kstest(uniforms(1, [0], range(5000), 4).flatten(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("make", [lambda: Categorical(0), lambda: DiscretizedLogisticMixture(1, 1)])
def test_empty_alphabets_are_refused(make) -> None:
    with pytest.raises(ValueError, match="at least"):
        make()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_holds_sixteen_bits(dtype: torch.dtype) -> None:
    law = DiscretizedLogisticMixture(65536, 2)
    params = torch.tensor([[[0.0, 0.0, 0.9, -0.5, -3.0, -4.0]]], dtype=dtype).expand(1, 200, -1)
    x = law.draw(params, law.noise(1, [0], range(200), dtype))
    assert 60_000 < int(x.max()) <= 65535
    assert law.log_prob(params, x).isfinite().all()

"""The mixture of logistics over whole pixels: a law, its edges, its channels, draws and margins."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import DiscretizedLogisticMixture, PixelMixture
from arbench.distributions.pixel_mixture import pack, unpack


def random(law: PixelMixture, seed: int, spread: float = 1.5) -> torch.Tensor:
    """(1, 1, P) in float64."""
    g = torch.Generator().manual_seed(seed)
    return spread * torch.randn(1, 1, law.params_width, generator=g, dtype=torch.float64)


def probabilities(law: PixelMixture, params: torch.Tensor) -> torch.Tensor:
    """(levels,)"""
    x = torch.arange(law.levels)[None]
    return law.log_prob(params.expand(1, law.levels, -1), x)[0].exp()


def by_scipy(law: PixelMixture, params: torch.Tensor, pixel: list[int]) -> float:
    """Equation 3 by hand, for three channels."""
    p, k = params[0, 0].tolist(), law.components
    logits, rest = p[:k], p[k:]
    means, scales, coefficients = (
        [rest[(3 * part + c) * k : (3 * part + c + 1) * k] for c in range(3)] for part in range(3)
    )
    weights = torch.tensor(logits).double().softmax(0)
    at = [2 * x / (law.channel_levels - 1) - 1 for x in pixel]
    total, half = 0.0, 1 / (law.channel_levels - 1)
    for j in range(k):
        alpha, beta, gamma = (float(torch.tensor(coefficients[i][j]).double().tanh()) for i in range(3))
        mean = [
            means[0][j],
            means[1][j] + alpha * at[0],
            means[2][j] + beta * at[0] + gamma * at[1],
        ]
        product = float(weights[j])
        for c in range(3):
            scale = float(torch.tensor(scales[c][j]).double().exp())
            low = -torch.inf if pixel[c] == 0 else at[c] - half
            high = torch.inf if pixel[c] == law.channel_levels - 1 else at[c] + half
            below = stats.logistic.cdf([low, high], mean[c], scale)
            product *= below[1] - below[0]
        total += product
    return total


@pytest.mark.parametrize(("levels", "colours", "components"), [(2, 3, 2), (5, 3, 1), (17, 2, 3), (256, 1, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_probabilities_sum_to_one(levels: int, colours: int, components: int, seed: int) -> None:
    law = PixelMixture(levels, colours, components)
    found = probabilities(law, random(law, seed, spread=3.0))
    assert float(found.sum()) == pytest.approx(1, abs=1e-10)


def test_it_is_equation_three() -> None:
    law = PixelMixture(6, 3, 2)
    params = random(law, 5)
    for pixel in ([0, 0, 0], [5, 5, 5], [0, 5, 3], [2, 3, 4], [5, 0, 1]):
        packed = pack(torch.tensor([[pixel]]), 6)
        assert float(law.log_prob(params, packed).exp()) == pytest.approx(by_scipy(law, params, pixel), rel=1e-6)


def test_one_channel_is_the_mixture_of_one_channel() -> None:
    pixel, plain = PixelMixture(17, 1, 3), DiscretizedLogisticMixture(17, 3)
    params = random(pixel, 1).expand(1, 17, -1)
    x = torch.arange(17)[None]
    assert torch.allclose(pixel.log_prob(params, x), plain.log_prob(params, x), rtol=0, atol=1e-12)
    z = pixel.noise(2, [0], range(17))
    assert torch.equal(z, plain.noise(2, [0], range(17)))
    assert torch.equal(pixel.draw(params, z), plain.draw(params, z))
    assert torch.allclose(pixel.margin(params, z), plain.margin(params, z), rtol=0, atol=1e-12)


def test_a_channels_law_hangs_on_the_rounded_ones_before_and_on_none_after() -> None:
    """The first channel's marginal is that of its own parameters; the second's moves with the first."""
    law = PixelMixture(4, 2, 1)
    params = random(law, 3)
    joint = probabilities(law, params).view(4, 4)
    alone = PixelMixture(4, 1, 1)
    first = torch.stack([params[..., 0], params[..., 1], params[..., 3]], dim=-1)
    assert torch.allclose(joint.sum(1), probabilities(alone, first), rtol=0, atol=1e-12)
    rows = joint / joint.sum(1, keepdim=True)
    assert all((a - b).abs().max() > 1e-3 for a, b in pairwise(rows))


@pytest.mark.parametrize(("levels", "colours"), [(2, 3), (3, 2), (5, 2)])
def test_draws_have_their_probabilities(levels: int, colours: int) -> None:
    """Of whole pixels, edge bins too: an unrounded channel would not condition the next as the law says."""
    law, draws = PixelMixture(levels, colours, 2), 40_000
    params = random(law, 8, spread=0.8)
    x = law.draw(params.expand(1, draws, -1), law.noise(7, [0], range(draws)))[0]
    expected = probabilities(law, params) * draws
    assert expected.min() >= 5
    seen = torch.bincount(x, minlength=law.levels).double()
    assert stats.chisquare(seen, expected * (draws / expected.sum())).pvalue > 1e-4


@given(st.integers(2, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6), st.integers(0, 2**45 - 1))
def test_margins_are_honest(levels: int, colours: int, components: int, seed: int, signs: int) -> None:
    """No parameter moved by less than half the margin, in any pattern of signs, changes any channel."""
    law = PixelMixture(levels, colours, components)
    params, z = random(law, seed), law.noise(seed, [0], range(1))
    margin = law.margin(params, z)
    assert (margin >= 0).all()
    sign = torch.tensor([1.0 if signs >> i & 1 else -1.0 for i in range(law.params_width)]).double()
    assert torch.equal(law.draw(params + 0.499 * margin.unsqueeze(-1) * sign, z), law.draw(params, z))


def test_margins_are_not_timid() -> None:
    """Hardly more than half the margin, all parameters together one way or other, does change the draw."""
    law, changed = PixelMixture(256, 2, 1), 0
    for seed in range(60):
        params, z = random(law, seed, spread=0.3), law.noise(seed, [0], range(1))
        params[..., 3:5] -= 3  # narrow, and not over the edge
        params[..., 5:] = 0  # where tanh has slope 1
        step = 0.505 * float(law.margin(params, z))
        value = 2 * unpack(law.draw(params, z), 256, 2)[..., 0] / 255 - 1
        outward = torch.cat([torch.ones(2), z[0, 0, 1:].sign(), value[0].sign()])
        moves = [params + way * step * torch.cat([torch.zeros(1), outward]) for way in (-1, 1)]
        changed += any(not torch.equal(law.draw(moved, z), law.draw(params, z)) for moved in moves)
    assert changed >= 54


@given(st.integers(2, 256), st.lists(st.integers(0, 255), min_size=1, max_size=5))
def test_packing(levels: int, channels: list[int]) -> None:
    x = torch.tensor(channels) % levels
    packed = pack(x, levels)
    assert 0 <= int(packed) < levels ** len(channels)
    assert torch.equal(unpack(packed, levels, len(channels)), x)
    if len(channels) > 1 and int(x[0]) + 1 < levels:
        x[0] += 1
        assert int(pack(x, levels)) == int(packed) + levels ** (len(channels) - 1)


@pytest.mark.parametrize("log_scale", [-20.0, 5.0])
def test_extremes_are_finite(log_scale: float) -> None:
    law = PixelMixture(256, 3, 2)
    params = torch.zeros(1, 4, law.params_width, dtype=torch.float32)
    params[..., 8:14] = log_scale
    params[..., 2:8] = 5.0
    params.requires_grad_()
    found = law.log_prob(params, torch.tensor([[0, 1, 256**3 - 2, 256**3 - 1]]))
    found.sum().backward()
    assert found.isfinite().all()
    assert params.grad is not None
    assert params.grad.isfinite().all()


def test_gradient() -> None:
    law = PixelMixture(6, 3, 2)
    params = random(law, 1).expand(1, 4, -1).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: law.log_prob(p, torch.tensor([[0, 70, 133, 215]])), params)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_good_as_its_parameters(kind: torch.dtype) -> None:
    law = PixelMixture(256, 3, 2)
    params = random(law, 4).expand(1, 300, -1).to(kind)
    z = law.noise(1, [0], range(300), kind)
    x, exact = law.draw(params, z), law.draw(params.double(), z.double())
    assert (x == exact).double().mean() > 0.95
    log_prob = law.log_prob(params, exact).double()
    assert torch.allclose(log_prob, law.log_prob(params.double(), exact), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("levels", "colours", "components"), [(1, 1, 1), (2, 0, 1), (2, 1, 0)])
def test_too_few_are_refused(levels: int, colours: int, components: int) -> None:
    with pytest.raises(ValueError, match=f"got {levels}, {colours} and {components}"):
        PixelMixture(levels, colours, components)

"""The mixture of logistics over whole pixels: normalisation, edges, channels, draws and margins."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import DiscretizedLogisticMixture, PixelMixture
from arbench.distributions.pixel_mixture import pack, unpack


def random(distribution: PixelMixture, seed: int, spread: float = 1.5) -> torch.Tensor:
    """Return parameters (1, 1, P) in float64."""
    g = torch.Generator().manual_seed(seed)
    return spread * torch.randn(1, 1, distribution.params_width, generator=g, dtype=torch.float64)


def probabilities(distribution: PixelMixture, params: torch.Tensor) -> torch.Tensor:
    """Return the probability of every pixel, (levels,)."""
    x = torch.arange(distribution.levels)[None]
    return distribution.log_prob(params.expand(1, distribution.levels, -1), x)[0].exp()


def by_scipy(distribution: PixelMixture, params: torch.Tensor, pixel: list[int]) -> float:
    """Compute equation 3 by hand for three channels."""
    p, k = params[0, 0].tolist(), distribution.components
    logits, rest = p[:k], p[k:]
    means, scales, coefficients = (
        [rest[(3 * part + c) * k : (3 * part + c + 1) * k] for c in range(3)] for part in range(3)
    )
    weights = torch.tensor(logits).double().softmax(0)
    at = [2 * x / (distribution.channel_levels - 1) - 1 for x in pixel]
    total, half = 0.0, 1 / (distribution.channel_levels - 1)
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
            high = torch.inf if pixel[c] == distribution.channel_levels - 1 else at[c] + half
            below = stats.logistic.cdf([low, high], mean[c], scale)
            product *= below[1] - below[0]
        total += product
    return total


@pytest.mark.parametrize(("levels", "colours", "components"), [(2, 3, 2), (5, 3, 1), (17, 2, 3), (256, 1, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_probabilities_sum_to_one(levels: int, colours: int, components: int, seed: int) -> None:
    distribution = PixelMixture(levels, colours, components)
    found = probabilities(distribution, random(distribution, seed, spread=3.0))
    assert float(found.sum()) == pytest.approx(1, abs=1e-10)


def test_it_is_equation_three() -> None:
    distribution = PixelMixture(6, 3, 2)
    params = random(distribution, 5)
    for pixel in ([0, 0, 0], [5, 5, 5], [0, 5, 3], [2, 3, 4], [5, 0, 1]):
        packed = pack(torch.tensor([[pixel]]), 6)
        assert float(distribution.log_prob(params, packed).exp()) == pytest.approx(
            by_scipy(distribution, params, pixel), rel=1e-6
        )


def test_one_channel_is_the_mixture_of_one_channel() -> None:
    pixel, plain = PixelMixture(17, 1, 3), DiscretizedLogisticMixture(17, 3)
    params = random(pixel, 1).expand(1, 17, -1)
    x = torch.arange(17)[None]
    assert torch.allclose(pixel.log_prob(params, x), plain.log_prob(params, x), rtol=0, atol=1e-12)
    z = pixel.noise(2, [0], range(17))
    assert torch.equal(z, plain.noise(2, [0], range(17)))
    assert torch.equal(pixel.draw(params, z), plain.draw(params, z))
    assert torch.allclose(pixel.margin(params, z), plain.margin(params, z), rtol=0, atol=1e-12)


def test_a_channels_distribution_hangs_on_the_rounded_ones_before_and_on_none_after() -> None:
    """The marginal of the first channel depends on its own parameters; the second depends on the first."""
    distribution = PixelMixture(4, 2, 1)
    params = random(distribution, 3)
    joint = probabilities(distribution, params).view(4, 4)
    alone = PixelMixture(4, 1, 1)
    first = torch.stack([params[..., 0], params[..., 1], params[..., 3]], dim=-1)
    assert torch.allclose(joint.sum(1), probabilities(alone, first), rtol=0, atol=1e-12)
    rows = joint / joint.sum(1, keepdim=True)
    assert all((a - b).abs().max() > 1e-3 for a, b in pairwise(rows))


@pytest.mark.parametrize(("levels", "colours"), [(2, 3), (3, 2), (5, 2)])
def test_draws_have_their_probabilities(levels: int, colours: int) -> None:
    """Draws of whole pixels, edge bins included, follow the distribution; unrounded channels would not."""
    distribution, draws = PixelMixture(levels, colours, 2), 40_000
    params = random(distribution, 8, spread=0.8)
    x = distribution.draw(params.expand(1, draws, -1), distribution.noise(7, [0], range(draws)))[0]
    expected = probabilities(distribution, params) * draws
    assert expected.min() >= 5
    seen = torch.bincount(x, minlength=distribution.levels).double()
    assert stats.chisquare(seen, expected * (draws / expected.sum())).pvalue > 1e-4


@given(st.integers(2, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6), st.integers(0, 2**45 - 1))
def test_margins_are_honest(levels: int, colours: int, components: int, seed: int, signs: int) -> None:
    """Moving the parameters by less than half the margin, with any signs, keeps every channel."""
    distribution = PixelMixture(levels, colours, components)
    params, z = random(distribution, seed), distribution.noise(seed, [0], range(1))
    margin = distribution.margin(params, z)
    assert (margin >= 0).all()
    sign = torch.tensor([1.0 if signs >> i & 1 else -1.0 for i in range(distribution.params_width)]).double()
    assert torch.equal(distribution.draw(params + 0.499 * margin.unsqueeze(-1) * sign, z), distribution.draw(params, z))


def test_margins_are_not_timid() -> None:
    """Moving all parameters together by little more than half the margin changes the draw."""
    distribution, changed = PixelMixture(256, 2, 1), 0
    for seed in range(60):
        params, z = random(distribution, seed, spread=0.3), distribution.noise(seed, [0], range(1))
        params[..., 3:5] -= 3  # narrow, and inside the edges
        params[..., 5:] = 0  # tanh has slope 1 there
        step = 0.505 * float(distribution.margin(params, z))
        value = 2 * unpack(distribution.draw(params, z), 256, 2)[..., 0] / 255 - 1
        outward = torch.cat([torch.ones(2), z[0, 0, 1:].sign(), value[0].sign()])
        moves = [params + way * step * torch.cat([torch.zeros(1), outward]) for way in (-1, 1)]
        changed += any(not torch.equal(distribution.draw(moved, z), distribution.draw(params, z)) for moved in moves)
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
    distribution = PixelMixture(256, 3, 2)
    params = torch.zeros(1, 4, distribution.params_width, dtype=torch.float32)
    params[..., 8:14] = log_scale
    params[..., 2:8] = 5.0
    params.requires_grad_()
    found = distribution.log_prob(params, torch.tensor([[0, 1, 256**3 - 2, 256**3 - 1]]))
    found.sum().backward()
    assert found.isfinite().all()
    assert params.grad is not None
    assert params.grad.isfinite().all()


def test_gradient() -> None:
    distribution = PixelMixture(6, 3, 2)
    params = random(distribution, 1).expand(1, 4, -1).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: distribution.log_prob(p, torch.tensor([[0, 70, 133, 215]])), params)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_good_as_its_parameters(kind: torch.dtype) -> None:
    distribution = PixelMixture(256, 3, 2)
    params = random(distribution, 4).expand(1, 300, -1).to(kind)
    z = distribution.noise(1, [0], range(300), kind)
    x, exact = distribution.draw(params, z), distribution.draw(params.double(), z.double())
    assert (x == exact).double().mean() > 0.95
    log_prob = distribution.log_prob(params, exact).double()
    assert torch.allclose(log_prob, distribution.log_prob(params.double(), exact), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("levels", "colours", "components"), [(1, 1, 1), (2, 0, 1), (2, 1, 0)])
def test_too_few_are_refused(levels: int, colours: int, components: int) -> None:
    with pytest.raises(ValueError, match=f"got {levels}, {colours} and {components}"):
        PixelMixture(levels, colours, components)

"""Oracles against SciPy, sums and integrals, and as the only judges of the laws that ship."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from arbench import distributions
from arbench.bench.models import oracle
from arbench.bench.models.judge import ORACLES, judge_of
from arbench.bench.models.oracle import (
    GAUSSIAN,
    LOGISTIC,
    CategoricalOracle,
    DiscretisedOracle,
    LocationScaleOracle,
    MixtureOracle,
    Oracle,
    PixelOracle,
    judged,
)
from arbench.distributions import Categorical, Distribution, Normal

LAWS: list[Distribution] = [
    distributions.Categorical(5),
    distributions.DiscretizedLogisticMixture(9, 3),
    distributions.GaussianMixture(3),
    distributions.Logistic(),
    distributions.LogisticMixture(2),
    distributions.Normal(),
    distributions.PixelMixture(3, 3, 2),
]
REAL = [law for law in LAWS if not law.finite]
LEVELS = [law for law in LAWS if law.finite]


def named(law: Distribution) -> str:
    return type(law).__name__


def of(law: Distribution) -> Oracle:
    found = judge_of(law).oracle
    assert found is not None
    return found


def parameters(law: Distribution, count: int = 40, spread: float = 1.0) -> Tensor:
    return spread * torch.randn(
        1, count, law.params_width, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )


def test_every_law_that_ships_has_an_oracle_of_its_exact_type() -> None:
    shipped = {
        kind for kind in vars(distributions).values() if isinstance(kind, type) and issubclass(kind, Distribution)
    }
    assert set(ORACLES) == shipped - {Distribution}
    assert {type(law) for law in LAWS} == set(ORACLES)

    class Mine(Normal):
        pass

    assert judge_of(Mine()).oracle is None


def test_oracles_import_nothing_that_they_judge() -> None:
    """Not even through others: torch and the standard library are all they read."""
    for file in Path(str(oracle.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert all("arbench" not in name or name.startswith("arbench.bench.models.oracle") for name in names), file


@pytest.mark.parametrize("law", LEVELS, ids=named)
@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_probabilities_sum_to_one(law: Distribution, spread: float) -> None:
    assert (judge_of(law).levels(parameters(law, 40, spread)).exp().sum(-1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("law", REAL, ids=named)
@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_densities_integrate_to_one(law: Distribution, spread: float) -> None:
    """By their own quadrature, and by one that knows nothing of them."""
    params = parameters(law, 5, spread)
    x, weights = of(law).quadrature(params)
    spread_out = params.unsqueeze(-2).expand(*x.shape, -1)
    assert ((of(law).log_prob(spread_out, x).exp() * weights).sum(-1) - 1).abs().max() < 1e-10
    one, order = params[0, 0], x[0, 0].sort().values

    def density(t: float) -> float:
        return float(of(law).log_prob(one, torch.tensor(t, dtype=torch.float64)).exp())

    cuts = order[:: max(len(order) // 12, 1)].tolist()
    total = sum(integrate.quad(density, a, b)[0] for a, b in zip(cuts, [*cuts[1:], float(order[-1])], strict=True))
    assert abs(total - 1) < 1e-7


def test_values_from_scipy() -> None:
    x, mean, log_scale = 0.7, -0.4, 0.9
    params, at = torch.tensor([mean, log_scale]).double(), torch.tensor(x).double()
    mean, log_scale = params.tolist()
    x = float(at)
    for family, law in ((GAUSSIAN, stats.norm), (LOGISTIC, stats.logistic)):
        found = LocationScaleOracle(family, -np.inf).log_prob(params, at)
        assert float(found) == pytest.approx(law.logpdf(x, mean, np.exp(log_scale)), abs=1e-14)
        t = np.linspace(-30, 30, 61)
        assert family.cdf(torch.from_numpy(t)).numpy() == pytest.approx(law.cdf(t), rel=1e-12)
        mixture = MixtureOracle(family, 2, -np.inf).log_prob(torch.tensor([0, 1, mean, 2, log_scale, 0]).double(), at)
        w = 1 / (1 + np.e)
        wanted = w * law.pdf(x, mean, np.exp(log_scale)) + (1 - w) * law.pdf(x, 2, 1)
        assert float(mixture.exp()) == pytest.approx(wanted, rel=1e-12)


def test_bins_from_scipy() -> None:
    """Each level has the mass of the logistic around it; both ends the tail beyond."""
    levels, mean, log_scale = 7, 0.21, -1.3
    found = judge_of(distributions.DiscretizedLogisticMixture(levels, 1))
    mine = found.levels(torch.tensor([[[0, mean, log_scale]]]).double())[0, 0].exp().numpy()
    borders = np.concatenate([[-np.inf], np.linspace(-1, 1, levels)[:-1] + 1 / (levels - 1), [np.inf]])
    kept = torch.tensor([mean, log_scale]).double().numpy()
    wanted = np.diff(stats.logistic.cdf(borders, kept[0], np.exp(kept[1])))
    assert mine == pytest.approx(wanted, rel=1e-10)


def test_a_wide_logistic_keeps_its_digits() -> None:
    """At log-scale 100 a bin of 2 / 255 has the mass 2 / 255 exp(-100) / 4, which is exp(-106.23)."""
    params = torch.tensor([0, 0.3, 100.0]).double()
    found = DiscretisedOracle(256, 1).log_prob(params, torch.tensor(100))
    assert float(found) == pytest.approx(np.log(2 / 255 / 4) - 100, abs=1e-9)


def test_pixels_condition_on_rounded_channels() -> None:
    """Two channels of two levels by hand."""
    mean, second, scale, mix = 0.2, -0.3, 0.5, 0.8
    params = torch.tensor([0, mean, second, scale, scale, mix]).double()
    mean, second, scale, mix = params[[1, 2, 3, 5]].tolist()
    law = PixelOracle(2, 2, 1)
    for first, last in product((0, 1), repeat=2):
        up = 1 - stats.logistic.cdf(0, mean, np.exp(scale))
        moved = second + np.tanh(mix) * (2 * first - 1)
        up2 = 1 - stats.logistic.cdf(0, moved, np.exp(scale))
        wanted = (up if first else 1 - up) * (up2 if last else 1 - up2)
        found = law.log_prob(params, torch.tensor(2 * first + last)).exp()
        assert float(found) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("law", LEVELS, ids=named)
def test_draws_have_the_probabilities(law: Distribution) -> None:
    """Chi-squared of 20,000 draws from one element's parameters."""
    params = parameters(law, 1)
    draws = of(law).draw(params.expand(1, 20_000, -1), law.noise(5, [0], range(20_000)))
    wanted = judge_of(law).levels(params)[0, 0].exp().numpy() * 20_000
    seen = np.bincount(draws[0].numpy(), minlength=len(wanted))
    often = wanted >= 5
    rare = [seen[~often].sum(), wanted[~often].sum()]
    statistic = ((seen - wanted)[often] ** 2 / wanted[often]).sum() + (rare[0] - rare[1]) ** 2 / max(rare[1], 1)
    assert stats.chi2.sf(statistic, often.sum()) > 1e-4


@pytest.mark.parametrize("law", LAWS, ids=named)
def test_a_change_of_less_than_half_the_margin_changes_no_decision(law: Distribution) -> None:
    g = torch.Generator().manual_seed(1)
    params, noise = parameters(law, 3000), law.noise(2, [0], range(3000))
    half = of(law).margin(params, noise).unsqueeze(-1).clamp_max(1) / 2
    sides = torch.rand(params.shape, generator=g, dtype=torch.float64).round() * 2 - 1
    moved = params + 0.999 * half * sides
    before, after = of(law).draw(params, noise), of(law).draw(moved, noise)
    if law.finite:
        assert torch.equal(before, after)
    elif isinstance(of(law), MixtureOracle):
        k = law.components  # type: ignore[attr-defined]
        assert torch.equal((params + torch.nn.functional.pad(noise, (0, 2 * k - 1)))[..., :k].argmax(-1),
                           (moved + torch.nn.functional.pad(noise, (0, 2 * k - 1)))[..., :k].argmax(-1))  # fmt: skip


@pytest.mark.parametrize("law", LAWS, ids=named)
def test_noise_comes_from_uniforms(law: Distribution) -> None:
    noise = law.noise(2, [0, 1], range(50))
    u = of(law).uniforms(noise, torch.arange(noise.shape[-1]))
    assert (u - distributions.uniforms(2, [0, 1], range(50), noise.shape[-1])).abs().max() < 1e-14


@pytest.mark.parametrize("law", LAWS, ids=named)
def test_sensitivity_is_the_effect_of_rounding(law: Distribution) -> None:
    """To first order, against differences."""
    params, noise = parameters(law, 20), law.noise(2, [0], range(20))
    x, h = of(law).draw(params, noise), 1e-6
    slopes = []
    for at in range(params.shape[-1]):
        step = torch.zeros_like(params)
        step[..., at] = h
        slopes.append((of(law).log_prob(params + step, x) - of(law).log_prob(params - step, x)) / (2 * h))
    wanted = (torch.stack(slopes, -1).abs() * (1 + params.abs())).sum(-1)
    assert (of(law).sensitivity(params, x) - wanted).abs().max() < 1e-6 * float(wanted.max())


@pytest.mark.parametrize("law", LAWS, ids=named)
@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_laws_agree_with_their_oracles(law: Distribution, spread: float) -> None:
    params, noise = parameters(law, 2000, spread), law.noise(9, [0], range(2000))
    x = law.draw(params, noise)
    if law.finite:
        assert torch.equal(x, of(law).draw(params, noise))
    else:
        assert (x - of(law).draw(params, noise)).abs().max() < 1e-10
    mine, wanted = law.log_prob(params, x), of(law).log_prob(params, x)
    assert ((mine - wanted).abs() / (1 + wanted.abs())).max() < 1e-10


def test_rejection_keeps_and_draws_as_its_paper_says() -> None:
    """A guess is kept with probability min(1, p / q); whatever is drawn in its place, the outcome follows p."""
    count, p, q = 40_000, *torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=torch.float64)
    rng = np.random.default_rng(4)
    guess = torch.from_numpy(rng.choice(3, count, p=q.numpy()))
    chance = torch.from_numpy(rng.random((count, 4)))
    none = torch.full((count,), 1e-12, dtype=torch.float64)
    found = judged(guess, p.log().expand(count, 3), q.log().expand(count, 3), chance, none, none)
    assert found.sure.all()
    assert stats.chisquare(np.bincount(found.x.numpy()), p.numpy() * count).pvalue > 1e-4
    assert found.kept[guess != 2].all()
    assert stats.binomtest(int(found.kept[guess == 2].sum()), int((guess == 2).sum()), 1 / 3).pvalue > 1e-4
    assert not (found.x[~found.kept] == 2).any()


def test_rejection_is_unsure_where_errors_decide() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).double().log(), torch.tensor([[0.2, 0.8]]).double().log()
    guess, none = torch.tensor([1]), torch.full((1,), 1e-12).double()
    near = torch.tensor([[0.625 + 1e-4, 0.5, 0.5]]).double()
    assert judged(guess, p, q, near, none, none).sure.all()
    assert not judged(guess, p, q, near, none + 1e-3, none).sure.any()
    assert CategoricalOracle(2).log_prob(p, guess).exp() == pytest.approx(0.5)
    assert judge_of(Categorical(2)).name == "oracle"

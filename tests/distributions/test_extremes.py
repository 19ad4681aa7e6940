"""Scales that exponentials cannot hold, and what is not a number: the same answer on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from arbench.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    Distribution,
    GaussianMixture,
    Logistic,
    LogisticMixture,
    Normal,
    PixelMixture,
)
from arbench.kernels import logistic_mixture_log_prob, logistic_mixture_sample, sample_from_logits

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SCORING = ["eager", "triton"] if DEVICE == "cuda" else ["eager", "triton", "numba"]
WIDE = [60.0, 87.0, 88.0, 89.0, 100.0, 104.0, 150.0, 1e4]
nan, inf = math.nan, math.inf


def on(backend: str, distribution: Distribution) -> Distribution:
    distribution.backend = backend
    return distribution


def level_mass(x: int, mean: float, log_scale: float, levels: int) -> float:
    """Return the log of a bin's mass: of a flat logistic, density times width; of an edge bin, a half."""
    if x in (0, levels - 1):
        return -math.log(2)
    return math.log(2 / (levels - 1)) - log_scale - math.log(4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("backend", SCORING)
@pytest.mark.parametrize("levels", [3, 256, 65536])
def test_a_wide_logistic_has_a_finite_mass_and_gradient(backend: str, dtype: torch.dtype, levels: int) -> None:
    scales = [*WIDE, 708.0, 745.0, 800.0] if dtype == torch.float64 else WIDE
    rows = [(x, s) for s in scales for x in (0, levels // 2, levels - 1)]
    params = torch.tensor([[0.3, 0.25, s] for _, s in rows], dtype=dtype, device=DEVICE).requires_grad_()
    x = torch.tensor([x for x, _ in rows], device=DEVICE)
    right = torch.tensor([level_mass(x, 0.25, s, levels) for x, s in rows], dtype=torch.float64)
    slope = torch.tensor([-1.0 if 0 < x < levels - 1 else 0.0 for x, _ in rows], dtype=torch.float64)
    found = [on(backend, DiscretizedLogisticMixture(levels, 1)).log_prob(params[None], x[None])[0]]
    if backend != "numba" or dtype != torch.bfloat16:
        found.append(logistic_mixture_log_prob(params, x, levels=levels, components=1, backend=backend))
    tolerance = 1e-2 if dtype == torch.bfloat16 else 2e-6
    for one in found:
        torch.testing.assert_close(one.double().cpu(), right, rtol=tolerance, atol=1e-5)
        (grad,) = torch.autograd.grad(one.sum(), params, retain_graph=True)
        assert grad.isfinite().all()
        torch.testing.assert_close(grad[:, 2].double().cpu(), slope, rtol=0, atol=1e-5)


def test_a_wide_component_beside_a_narrow_one() -> None:
    """The published right value at a log-scale of 100: -106.23."""
    params = torch.tensor([[0.0, 0.0, 0.0, 0.0, 100.0, 100.0]], requires_grad=True)
    found = DiscretizedLogisticMixture(256, 2).log_prob(params[None], torch.tensor([[128]]))
    assert found.item() == pytest.approx(-106.23, abs=0.005)
    params = torch.tensor([[0.0, 0.0, 0.0, 0.1, 100.0, -3.0]], requires_grad=True)
    found = DiscretizedLogisticMixture(256, 2).log_prob(params[None], torch.tensor([[128]]))
    (grad,) = torch.autograd.grad(found.sum(), params)
    assert grad.isfinite().all()


@pytest.mark.parametrize("log_scale", WIDE)
def test_wide_channels_of_a_pixel(log_scale: float) -> None:
    distribution = PixelMixture(256, 3, 2)
    params = torch.zeros(1, 1, distribution.params_width)
    params[..., 8:14] = log_scale
    params.requires_grad_()
    found = distribution.log_prob(params, torch.tensor([[(100 * 256 + 17) * 256 + 200]]))
    assert found.item() == pytest.approx(3 * level_mass(1, 0.0, log_scale, 256), rel=1e-5)
    (grad,) = torch.autograd.grad(found.sum(), params)
    assert grad.isfinite().all()
    assert grad[..., 8:14].sum().item() == pytest.approx(-3, rel=1e-3)
    z = distribution.noise(0, [0], range(1), torch.float32)
    assert distribution.margin(params, z).isfinite().all()


@pytest.mark.parametrize("log_scale", WIDE)
@pytest.mark.parametrize("levels", [2, 256, 65536])
def test_a_wide_draw_is_at_an_end_on_every_backend(log_scale: float, levels: int) -> None:
    distribution = DiscretizedLogisticMixture(levels, 2)
    params = torch.tensor([0.0, 0.5, 0.3, -0.2, log_scale, log_scale], device=DEVICE).expand(1, 40, 6)
    z = distribution.noise(4, [0], range(40), torch.float32, DEVICE)
    right = (z[..., -1] > 0) * (levels - 1)
    for backend in ("eager", "triton"):
        assert torch.equal(on(backend, distribution).draw(params, z), right)
        assert torch.equal(logistic_mixture_sample(params, z, levels=levels, components=2, backend=backend)[0], right)
    assert distribution.margin(params, z).isfinite().all()


@pytest.mark.parametrize(
    "law", [(Logistic, stats.logistic), (lambda: Normal(-inf), stats.norm)], ids=["logistic", "normal"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_location_scale_law_at_any_scale(law: tuple[Callable[[], Any], Any], dtype: torch.dtype) -> None:
    """At the mean, and some scales away where a number can say so."""
    distribution, known = law[0](), law[1]
    scales = [-300.0, -100.0, -88.0, -60.0, -9.0, 0.0, 60.0, 88.0, 100.0, 300.0]
    scales += [-800.0, 800.0] if dtype == torch.float64 else []
    rows = [(s, t) for s in scales for t in (0.0, 3.0, -50.0) if t == 0 or (abs(s) < 70)]
    log_scale = torch.tensor([s for s, _ in rows], dtype=dtype)
    t = torch.tensor([t for _, t in rows], dtype=torch.float64)
    params = torch.stack([torch.zeros_like(log_scale), log_scale], -1)[None].requires_grad_()
    x = (t * log_scale.double().exp()).nan_to_num(0.0).to(dtype)[None]
    found = distribution.log_prob(params, x)
    right = torch.from_numpy(known.logpdf(t.numpy())) - log_scale.double()
    torch.testing.assert_close(found[0].double(), right, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-12)
    (grad,) = torch.autograd.grad(found.sum(), params)
    assert grad.isfinite().all()
    torch.testing.assert_close(
        distribution.cdf(params, x)[0].double(), torch.from_numpy(known.cdf(t.numpy())), rtol=1e-4, atol=1e-12
    )
    z, log_det = distribution.invert(params, x)
    torch.testing.assert_close(z[0, :, 0].double(), t, rtol=1e-5, atol=1e-12)
    assert torch.equal(log_det[0], -log_scale)


@pytest.mark.parametrize("distance", [-3e38, -1e38, 3e38])
def test_a_logistic_far_out_is_impossible_and_not_unknown(distance: float) -> None:
    params = torch.tensor([[[0.0, 0.0]]], requires_grad=True)
    found = Logistic().log_prob(params, torch.tensor([[distance]]))
    assert found.item() == pytest.approx(-abs(distance), rel=1e-6)
    assert torch.autograd.grad(found.sum(), params)[0][0, 0, 0].abs() == 1
    assert float(Logistic().log_prob(torch.zeros(1, 1, 2), torch.tensor([[-inf]]))) == -inf


# What is not a number


def spoiled(distribution: Distribution, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return parameters (1, M, P), each row but the last with NaN in one place, and noise."""
    width = distribution.params_width
    places = range(0, width, 1 + width // 30)
    params = torch.randn(1, len(places) + 1, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    params[0, range(len(places)), places] = nan
    return params.to(DEVICE, dtype), distribution.noise(1, [0], range(len(places) + 1), dtype, DEVICE)


FINITE = [Categorical(7), Categorical(300), DiscretizedLogisticMixture(256, 3), PixelMixture(8, 3, 2)]


@pytest.mark.filterwarnings("ignore:All-NaN slice")  # NumPy, which does the interpreter's maxima
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("law", FINITE, ids=lambda law: f"{type(law).__name__}-{law.levels}")
def test_a_draw_from_nan_is_a_level_and_its_log_probability_says_so(law: Any, dtype: torch.dtype) -> None:
    params, z = spoiled(law, dtype)
    everywhere = torch.full_like(params, nan)
    draws, whole = [], []
    for backend in SCORING:
        law.backend = backend
        try:
            draws.append(law.draw(params, z).cpu())
            whole.append(law.draw(everywhere, z).cpu())
            assert law.log_prob(params, draws[-1].to(DEVICE)).isnan().tolist() == [
                [True] * (len(draws[-1][0]) - 1) + [False]
            ]
            assert law.log_prob(everywhere, whole[-1].to(DEVICE)).isnan().all()
        finally:
            law.backend = "eager"
    assert all(torch.equal(one, draws[0]) for one in draws)
    assert all(torch.equal(one, torch.zeros_like(one)) for one in whole)
    assert 0 <= draws[0].min() <= draws[0].max() < law.levels


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backend", ["eager", "triton"])
def test_a_kernel_that_draws_from_nan_draws_the_same_on_every_backend(backend: str, channels: int) -> None:
    width = 3 * (3 if channels == 1 else 10)
    params = torch.randn(width + 1, width, generator=torch.Generator().manual_seed(0))
    params[range(width), range(width)] = nan
    noise = torch.randn(width + 1, 3 + channels, generator=torch.Generator().manual_seed(1))
    given: dict[str, Any] = dict(levels=256, components=3, channels=channels)
    x, log_prob = logistic_mixture_sample(params.to(DEVICE), noise.to(DEVICE), **given, backend=backend)
    right, _ = logistic_mixture_sample(params.double(), noise.double(), **given, backend="eager")
    assert torch.equal(x.cpu(), right)
    assert log_prob.isnan().tolist() == [True] * width + [False]
    assert 0 <= x.min() <= x.max() < 256
    everything = torch.full_like(params, nan).to(DEVICE)
    assert (logistic_mixture_sample(everything, noise.to(DEVICE), **given, backend=backend)[0] == 0).all()


@pytest.mark.parametrize(
    "law", [Normal(), Logistic(), GaussianMixture(2), LogisticMixture(2)], ids=lambda law: type(law).__name__
)
def test_a_density_of_nan_is_nan(law: Distribution) -> None:
    params, _ = spoiled(law)
    found = law.log_prob(params, torch.full(params.shape[:-1], 0.3, device=DEVICE))
    assert found.isnan().tolist() == [[True] * law.params_width + [False]]


# Ties of half precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_draw_in_half_precision_is_decided_in_float32_on_every_backend(dtype: torch.dtype) -> None:
    law = Categorical(256)
    params = torch.randn(1, 300, 256, generator=torch.Generator().manual_seed(0)).to(DEVICE, dtype)
    z = law.noise(0, [0], range(300), dtype, DEVICE)
    assert z.dtype == torch.float32  # bfloat16 noise leaves one tie in 500 draws
    score = params.float() + z
    best = score.topk(2, dim=-1).values
    tied = (params + z.to(dtype)).topk(2, dim=-1).values
    assert dtype != torch.bfloat16 or (tied[..., 0] == tied[..., 1]).any()
    assert (best[..., 0] != best[..., 1]).all()
    for backend in SCORING:
        law.backend = backend
        assert torch.equal(law.draw(params, z), score.argmax(-1))
        assert torch.equal(law.margin(params, z), best[..., 0] - best[..., 1])
    rounded = z.to(dtype)
    right = (params.float() + rounded.float()).argmax(-1)
    for backend in ("eager", "triton"):
        assert torch.equal(sample_from_logits(params, rounded, backend=backend)[0], right)
    assert law.log_prob(params, score.argmax(-1)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", [GaussianMixture, LogisticMixture, lambda k: DiscretizedLogisticMixture(256, k)])
def test_a_component_in_half_precision_is_picked_in_float32(kind: Callable[[int], Any], dtype: torch.dtype) -> None:
    """Components far apart show which one was picked."""
    law, k = kind(8), 8
    params = torch.randn(1, 2000, 24, generator=torch.Generator().manual_seed(0))
    params[..., k : 2 * k], params[..., 2 * k :] = torch.linspace(-0.9, 0.9, k), -6.0
    params = params.to(dtype)
    z = law.noise(0, [0], range(2000), dtype)
    picked = (params[..., :k].float() + z[..., :k].float()).argmax(-1)
    x = law.draw(params, z).float()
    at = x if not law.finite else 2 * x / 255 - 1
    assert torch.equal(((at + 0.9) / 1.8 * (k - 1)).round().long(), picked)

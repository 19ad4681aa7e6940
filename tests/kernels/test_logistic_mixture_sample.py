"""Draws from the discretized mixture of logistics: they follow the law, and what is rounded stays rounded."""

from __future__ import annotations

import itertools
import math
from types import ModuleType

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from arbench.distributions import DiscretizedLogisticMixture
from arbench.kernels import (
    LOGISTIC_MIXTURE_LOG_PROB,
    LOGISTIC_MIXTURE_SAMPLE,
    logistic_mixture_log_prob,
    logistic_mixture_sample,
)

BACKENDS = ("eager", "triton") if torch.cuda.is_available() else ("eager", "triton", "numba")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_distribution_agrees(harness: ModuleType, dtype: torch.dtype) -> None:
    distribution = DiscretizedLogisticMixture(levels=256, components=10)
    inputs = harness.make(LOGISTIC_MIXTURE_SAMPLE, dtype, rows=500)
    params, z = inputs["params"], inputs["noise"]
    drawn, log_prob = logistic_mixture_sample(**inputs, backend="eager")
    assert torch.equal(drawn, distribution.draw(params, z))
    assert torch.equal(log_prob, distribution.log_prob(params, drawn))
    backends = ("triton",) if dtype == torch.bfloat16 or harness.DEVICE.type != "cpu" else ("triton", "numba")
    for backend in backends:
        run = harness.on_triton if backend == "triton" else harness.guarded
        found, found_log_prob = run(lambda b=backend: logistic_mixture_sample(**inputs, backend=b))
        assert torch.equal(found, drawn)
        harness.close(found_log_prob, log_prob, (1e-5, 1e-5))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backend", BACKENDS)
def test_draws_follow_the_law(harness: ModuleType, backend: str, channels: int) -> None:
    k, levels, n = 3, 3 if channels == 3 else 7, 4_000
    params = harness.make(LOGISTIC_MIXTURE_LOG_PROB, torch.float64, rows=1, components=k, channels=channels)["params"][
        0
    ]
    params[k * (1 + channels) : k * (1 + 2 * channels)] += 2
    generator = torch.Generator().manual_seed(11)
    u = torch.rand(n, k + channels, generator=generator, dtype=torch.float64)
    noise = torch.cat([-(-u[:, :k].log()).log(), u[:, k:].logit()], 1).to(harness.DEVICE)
    x, log_prob = logistic_mixture_sample(
        params.expand(n, -1), noise, levels=levels, components=k, channels=channels, backend=backend
    )
    events = torch.tensor(list(itertools.product(range(levels), repeat=channels)), device=harness.DEVICE)
    law = logistic_mixture_log_prob(
        params.expand(len(events), -1),
        events.squeeze(-1) if channels == 1 else events,
        levels=levels,
        components=k,
        channels=channels,
        backend="eager",
    ).exp()
    place = torch.tensor([levels ** (channels - 1 - c) for c in range(channels)], device=harness.DEVICE)
    event = (x.view(n, channels) * place).sum(-1)
    harness.close(log_prob.exp(), law[event], (1e-10, 1e-12))
    counts, expected = event.bincount(minlength=len(law)).double(), n * law
    rare = expected < 5
    if rare.any():
        counts = torch.cat([counts[~rare], counts[rare].sum().view(1)])
        expected = torch.cat([expected[~rare], expected[rare].sum().view(1)])
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert chi2.sf(statistic, len(counts) - 1) > 1e-3


def slow_draw(params: list[float], noise: list[float], levels: int, k: int, rounded: bool) -> list[int]:
    """Draw as in PixelCNN++, section 2.2, channel by channel."""
    scores = [a + b for a, b in zip(params[:k], noise[:k], strict=True)]
    i = scores.index(max(scores))
    means, log_scales, c = (
        [row[j * k + i] for j in range(3)] for row in (params[k:], params[4 * k :], params[7 * k :])
    )
    seen: list[float] = []
    out = []
    for j in range(3):
        weights = [c[0]] if j == 1 else c[1:]
        mean = means[j] + sum(math.tanh(w) * s for w, s in zip(weights, seen, strict=False) if j)
        value = mean + math.exp(log_scales[j]) * noise[k + j]
        level = round(min(max((value + 1) * (levels - 1) / 2, 0), levels - 1))
        out.append(level)
        seen.append(2 * level / (levels - 1) - 1 if rounded else min(max(value, -1), 1))
    return out


@pytest.mark.parametrize("backend", BACKENDS)
def test_later_channels_follow_the_rounded_earlier_ones(harness: ModuleType, backend: str) -> None:
    k, levels = 2, 4
    inputs = harness.make(LOGISTIC_MIXTURE_SAMPLE, torch.float64, rows=300, components=k, channels=3, levels=levels)
    found, _ = logistic_mixture_sample(**inputs, backend=backend)
    pairs = list(zip(inputs["params"].tolist(), inputs["noise"].tolist(), strict=True))
    assert found.tolist() == [slow_draw(p, z, levels, k, rounded=True) for p, z in pairs]
    assert found.tolist() != [slow_draw(p, z, levels, k, rounded=False) for p, z in pairs]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_go_to_the_first_and_halves_to_the_even(harness: ModuleType, backend: str) -> None:
    def draw(params: list[float], noise: list[float], components: int) -> int:
        x, _ = logistic_mixture_sample(
            torch.tensor([params], device=harness.DEVICE),
            torch.tensor([noise], device=harness.DEVICE),
            levels=5,
            components=components,
            backend=backend,
        )
        return int(x)

    assert draw([0.0] * 5 + [-1.0, -0.5, 0.0, 0.5, 1.0] + [-2.0] * 5, [-1.0, 3.0, 2.0, 3.0, 3.0, 0.0], 5) == 1
    assert draw([0.0] * 5 + [-1.0, -0.5, 0.0, 0.5, 1.0] + [-2.0] * 5, [0.0, 0.0, 0.0, 0.0, 9.0, 0.0], 5) == 4
    halves = [draw([0.0, mean, -2.0], [0.0, 0.0], 1) for mean in (-0.75, -0.25, 0.25, 0.75)]
    assert halves == [0, 2, 2, 4]
    assert [draw([0.0, mean, -2.0], [0.0, 0.0], 1) for mean in (-7.0, 7.0)] == [0, 4]


def test_rare_components_are_drawn_at_their_rate(harness: ModuleType) -> None:
    noise = torch.tensor([[0.0, 30.0, 0.0]], device=harness.DEVICE)
    params = torch.tensor([[0.0, -29.0, -1.0, 1.0, -9.0, -9.0]], device=harness.DEVICE)
    x, log_prob = logistic_mixture_sample(params, noise, levels=256, components=2, backend="triton")
    assert int(x) == 255
    assert math.isclose(float(log_prob), -29.0 + math.log(1 / (1 + math.exp(-math.exp(9) / 255))), rel_tol=1e-5)


@pytest.mark.parametrize("config", [dict(levels=65536), dict(channels=3)], ids=["65536 levels", "3 channels"])
def test_near_ties_are_few_and_include_every_draw_that_float32_changes(config: dict[str, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    given = LOGISTIC_MIXTURE_SAMPLE.inputs(
        dtype=torch.float32, device="cpu", generator=generator, rows=50_000, **config
    )
    exact = {k: v.double() if isinstance(v, Tensor) else v for k, v in given.items()}
    assert LOGISTIC_MIXTURE_SAMPLE.near_ties is not None
    near = LOGISTIC_MIXTURE_SAMPLE.near_ties(exact, torch.float32)
    drawn, right = (logistic_mixture_sample(**one, backend="eager")[0] for one in (given, exact))
    differs = (drawn != right).view(len(near), -1).any(-1)
    assert 0 < near.sum() < 0.1 * len(near)
    assert not (differs & ~near).any()


@pytest.mark.skipif(torch.cuda.is_available(), reason="tensors are on a GPU")
@pytest.mark.parametrize("channels", [1, 3])
def test_numba_draws_from_strided_rows_in_threads_what_pytorch_draws(
    harness: ModuleType, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbench.kernels.core.numba_rows.WORTH_A_THREAD", 1)
    inputs = harness.make(LOGISTIC_MIXTURE_SAMPLE, torch.float64, rows=42, components=5, channels=channels)
    inputs = {k: v.view(2, 3, 7, -1) if isinstance(v, Tensor) else v for k, v in inputs.items()}
    inputs["params"][0, 0, 0, 2], inputs["params"][0, 1, 0, :] = math.nan, math.inf
    inputs["params"][0, 2, 0, 5:] = -math.inf
    found = logistic_mixture_sample(**harness.scattered(inputs, 1), backend="numba")
    expected = logistic_mixture_sample(**inputs, backend="eager")
    assert torch.equal(found[0], expected[0])
    harness.close(found[1], expected[1], (1e-10, 1e-10))
    none = {**inputs, "params": inputs["params"][:0], "noise": inputs["noise"][:0]}
    assert [o.shape[:3] for o in logistic_mixture_sample(**none, backend="numba")] == [(0, 3, 7)] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="tensors are on a GPU")
def test_numba_refuses_what_it_cannot_read(harness: ModuleType) -> None:
    half, rows = (
        harness.make(LOGISTIC_MIXTURE_SAMPLE, dtype, rows=3, layout=layout)
        for dtype, layout in ((torch.bfloat16, "rows"), (torch.float32, "columns"))
    )
    with pytest.raises(TypeError, match=r"the Numba backend needs float32 or float64 params, not torch.bfloat16$"):
        logistic_mixture_sample(**half, backend="numba")
    with pytest.raises(ValueError, match=r"needs params contiguous along the last axis, whose stride is 3$"):
        logistic_mixture_sample(**rows, backend="numba")

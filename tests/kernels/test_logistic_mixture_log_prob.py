"""The law of the discretized mixture of logistics: the paper's, and right at every extreme, with its gradient."""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from torch import Tensor

from arbench.kernels import LOGISTIC_MIXTURE_LOG_PROB, logistic_mixture_log_prob

inf = float("inf")
COMPILED = ["triton"] if torch.cuda.is_available() else ["triton", "numba"]
LOG_PROBS = pytest.mark.parametrize("backend", ["eager", *COMPILED])


@triton.jit
def fused(y):
    o = tl.arange(0, 1)
    a = tl.load(y + o)
    tl.store(y + o, tl.fma(a, a, -1.0 - 2.0**-11))


@pytest.fixture(scope="session")
def rounds_once(harness: ModuleType) -> bool:
    """Return whether a fused multiply-add rounds once; the interpreter of older Tritons rounds twice."""
    y = torch.full((1,), 1 + 2.0**-12, device=harness.DEVICE)
    fused[(1,)](y)
    return float(y) == 2.0**-24


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def bin_probability(x: int, mean: float, log_scale: float, levels: int) -> float:
    """Compute PixelCNN++, equation 2, as written."""
    centre, half, scale = 2 * x / (levels - 1) - 1, 1 / (levels - 1), math.exp(log_scale)
    above = 1.0 if x == levels - 1 else sigmoid((centre + half - mean) / scale)
    below = 0.0 if x == 0 else sigmoid((centre - half - mean) / scale)
    return above - below


def pixel_probability(params: list[float], x: tuple[int, ...], levels: int, k: int) -> float:
    """Compute PixelCNN++, equation 3: g given r, b given r and g, in each component."""
    logits, means, log_scales, coefficients = (
        params[:k],
        params[k : 4 * k],
        params[4 * k : 7 * k],
        params[7 * k :],
    )
    r, g, _ = (2 * level / (levels - 1) - 1 for level in x)
    top = max(logits)
    total = sum(math.exp(logit - top) for logit in logits)
    probability = 0.0
    for i in range(k):
        rg, rb, gb = (math.tanh(coefficients[c * k + i]) for c in range(3))
        mean = [means[i], means[k + i] + rg * r, means[2 * k + i] + rb * r + gb * g]
        mass = math.exp(logits[i] - top) / total
        for c in range(3):
            mass *= bin_probability(x[c], mean[c], log_scales[c * k + i], levels)
        probability += mass
    return probability


def some(harness: ModuleType, **config: Any) -> dict[str, Any]:
    return harness.make(LOGISTIC_MIXTURE_LOG_PROB, torch.float64, **config)


@LOG_PROBS
@pytest.mark.parametrize("levels", [2, 3, 17])
def test_probabilities_of_all_levels_sum_to_one(harness: ModuleType, backend: str, levels: int) -> None:
    params = some(harness, rows=6, components=3)["params"]
    x = torch.arange(levels, device=params.device).expand(6, levels)
    wide = params.unsqueeze(1).expand(6, levels, 9)
    found = logistic_mixture_log_prob(wide, x, levels=levels, components=3, backend=backend)
    harness.close(found.exp().sum(-1), torch.ones_like(found[:, 0]), (1e-12, 1e-12))


@LOG_PROBS
def test_probabilities_of_all_colours_are_the_paper_s(harness: ModuleType, backend: str) -> None:
    k, levels = 2, 3
    params = some(harness, rows=4, components=k, channels=3)["params"]
    params[:, 4 * k : 7 * k] += 2  # scales as wide as bins
    colours = list(itertools.product(range(levels), repeat=3))
    x = torch.tensor(colours, device=params.device).expand(4, 27, 3)
    found = logistic_mixture_log_prob(
        params.unsqueeze(1).expand(4, 27, 10 * k), x, levels=levels, components=k, channels=3, backend=backend
    ).exp()
    harness.close(found.sum(-1), torch.ones_like(found[:, 0]), (1e-12, 1e-12))
    slow = [[pixel_probability(row, colour, levels, k) for colour in colours] for row in params.tolist()]
    harness.close(found, torch.tensor(slow, device=params.device, dtype=torch.float64), (1e-10, 1e-14))


def test_one_channel_is_the_paper_s(harness: ModuleType) -> None:
    inputs = some(harness, rows=40, components=2, levels=9)
    found = harness.on_triton(lambda: logistic_mixture_log_prob(**inputs, backend="triton")).exp()
    for (l0, l1, m0, m1, s0, s1), x, p in zip(
        inputs["params"].tolist(), inputs["x"].tolist(), found.tolist(), strict=True
    ):
        weight = sigmoid(l0 - l1)
        slow = weight * bin_probability(x, m0, s0, 9) + (1 - weight) * bin_probability(x, m1, s1, 9)
        assert math.isclose(p, slow, rel_tol=1e-9, abs_tol=1e-14)


def test_edge_bins_include_the_tails(harness: ModuleType) -> None:
    params = torch.tensor([[0.0, -9.0, -1.0], [0.0, 9.0, -1.0]], device=harness.DEVICE)

    def found(x: int) -> list[float]:
        levels = torch.full((2,), x, device=harness.DEVICE)
        return logistic_mixture_log_prob(params, levels, levels=256, components=1, backend="triton").tolist()

    far = math.e * (-10 + 1 / 255)  # so far out, log s(a) = a
    assert found(0) == pytest.approx([0.0, far], rel=1e-6, abs=1e-6)
    assert found(255) == pytest.approx([far, 0.0], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("levels", [256, 65536])
def test_extreme_scales_and_distances(
    harness: ModuleType, extremes: ModuleType, rounds_once: bool, levels: int, dtype: torch.dtype
) -> None:
    params, x = extremes.parameters(levels, dtype, harness.DEVICE)
    exact = params.double().requires_grad_(True)
    params.requires_grad_(True)
    found = harness.on_triton(
        lambda: logistic_mixture_log_prob(params, x, levels=levels, components=1, backend="triton")
    )
    expected = logistic_mixture_log_prob(exact, x, levels=levels, components=1, backend="eager")
    (mine,) = harness.on_triton(lambda: torch.autograd.grad(found.sum(), params))
    (theirs,) = torch.autograd.grad(expected.sum(), exact)
    assert expected.min() < -1e5
    assert found.isfinite().all()
    assert mine.isfinite().all()
    if not rounds_once and dtype == torch.float32:
        return
    unit = 1e-10 if dtype == torch.float64 else 1e-5
    harness.close(found.detach(), expected.detach(), (unit, unit))
    extremes.close_gradients(exact, mine, theirs, unit)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize(("dtype", "unit"), [(torch.float64, 1e-14), (torch.float32, 5e-7)], ids=str)
def test_narrow_and_wide_bins_meet(harness: ModuleType, backend: str, dtype: torch.dtype, unit: float) -> None:
    scales = torch.linspace(-0.5, 0.5, 101, dtype=torch.float64)  # of 3 levels, half a bin is half a scale at 0
    params = torch.stack([torch.zeros(101), torch.full((101,), 0.1), scales], 1).to(harness.DEVICE, dtype)
    x = torch.ones(101, dtype=torch.long, device=harness.DEVICE)
    found = logistic_mixture_log_prob(params, x, levels=3, components=1, backend=backend)
    expected = logistic_mixture_log_prob(params.double(), x, levels=3, components=1, backend="eager")
    harness.close(found, expected, (unit, unit))


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("components", [1, 5])
def test_a_distance_beyond_float32_is_impossible(harness: ModuleType, backend: str, components: int) -> None:
    params = torch.zeros(1, 3, components, device=harness.DEVICE)
    params[:, 1], params[:, 2] = 1e38, -14.0
    x = torch.tensor([7], device=harness.DEVICE)
    found = logistic_mixture_log_prob(params.flatten(1), x, levels=256, components=components, backend=backend)
    assert float(found) == -inf


def test_components_far_and_near_in_one_row(harness: ModuleType) -> None:
    params = torch.tensor([[0.0, 300.0, -50.0, 0.5, 0.0, 60.0, -9.0, -2.0, -3.0]], device=harness.DEVICE)
    x = torch.tensor([70], device=harness.DEVICE)
    inputs = {"params": params, "x": x, "levels": 256, "components": 3, "channels": 1}
    harness.compare(LOGISTIC_MIXTURE_LOG_PROB, inputs)


@pytest.mark.parametrize("backend", COMPILED)
def test_impossible_components_do_not_count(harness: ModuleType, backend: str) -> None:
    inputs = some(harness, rows=4, components=10)
    params = inputs["params"]
    params[:, 1:9] = -inf
    params[3, :10] = -inf
    two = params[:3].unflatten(-1, (3, 10))[:, :, [0, 9]].flatten(1)
    params.requires_grad_(True)
    found = logistic_mixture_log_prob(**inputs, backend=backend)
    kept = logistic_mixture_log_prob(two, inputs["x"][:3], levels=256, components=2, backend="eager")
    harness.close(found[:3].detach(), kept, (1e-12, 1e-12))
    assert found[3].isnan()
    (grad,) = torch.autograd.grad(found[:3].sum(), params)
    assert (grad[:3].unflatten(-1, (3, 10))[:, :, 1:9] == 0).all()
    assert (grad[:3].unflatten(-1, (3, 10))[:, :, [0, 9]] != 0).all()


@LOG_PROBS
@pytest.mark.filterwarnings("ignore:All-NaN slice")  # NumPy, which does the interpreter's maxima
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_not_a_number_shows_in_its_row_alone(harness: ModuleType, backend: str, channels: int) -> None:
    inputs = some(harness, rows=150, components=5, channels=channels)
    blocks = inputs["params"].shape[-1] // 5
    for block in range(blocks):
        inputs["params"][block, 5 * block + 4] = float("nan")
    params = inputs["params"].requires_grad_(True)
    found = logistic_mixture_log_prob(**inputs, backend=backend)
    assert found.isnan().tolist() == [True] * blocks + [False] * (150 - blocks)
    (grad,) = torch.autograd.grad(found.sum(), params)
    assert grad[:blocks].isnan().any(-1).all()
    assert grad[blocks:].isfinite().all()
    if backend == "numba":
        assert grad[:blocks].isnan().all()


@pytest.mark.parametrize("backend", COMPILED)
def test_no_gradient_below_the_floor_of_scales(harness: ModuleType, backend: str) -> None:
    params = torch.tensor([[0.0, 0.1, -15.0], [0.0, 0.1, -14.0]], device=harness.DEVICE).requires_grad_(True)
    x = torch.tensor([100, 100], device=harness.DEVICE)
    found = logistic_mixture_log_prob(params, x, levels=256, components=1, backend=backend)
    assert found[0] == found[1]
    (grad,) = torch.autograd.grad(found.sum(), params)
    assert grad[0, 2] == 0
    assert grad[1, 2] != 0


def test_axes_that_do_not_merge(harness: ModuleType) -> None:
    params = torch.zeros(3, 3, 3, 3, 6, device=harness.DEVICE)[::2, ::2, ::2, ::2]
    x = torch.zeros(2, 2, 2, 2, dtype=torch.long, device=harness.DEVICE)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        logistic_mixture_log_prob(params, x, levels=256, components=2, backend="triton")
    assert str(caught.value) == (
        "logistic_mixture_log_prob: 4 leading axes of shape (2, 2, 2, 2) do not merge into 3; "
        "make the tensor contiguous"
    )


@pytest.mark.parametrize("compiled", COMPILED)
def test_a_gradient_whose_axes_do_not_merge(harness: ModuleType, compiled: str) -> None:
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(2, 3, 2, 3, 6, generator=generator, dtype=torch.float64).to(harness.DEVICE)
    params.requires_grad_(True)
    x = torch.randint(5, (2, 3, 2, 3), generator=generator).to(harness.DEVICE)
    weight = torch.randn(3, 3, 2, 2, generator=generator, dtype=torch.float64).to(harness.DEVICE)

    def gradient(backend: str) -> Tensor:
        out = logistic_mixture_log_prob(params, x, levels=5, components=2, backend=backend)
        return torch.autograd.grad((out.permute(1, 3, 0, 2) * weight).sum(), params)[0]

    harness.close(gradient(compiled), gradient("eager"), (1e-10, 1e-10))

"""The discretized mixture of logistics: its probabilities at every size and extreme, draws, and errors."""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from arbench.distributions import DiscretizedLogisticMixture
from arbench.kernels import (
    LOGISTIC_MIXTURE_LOG_PROB,
    LOGISTIC_MIXTURE_SAMPLE,
    Kernel,
    logistic_mixture_log_prob,
    logistic_mixture_sample,
)
from arbench.kernels.core.launch import allocating
from arbench.kernels.mixture import tiles

inf = float("inf")
COMPILED = ["triton"] if torch.cuda.is_available() else ["triton", "numba"]
LOG_PROBS = pytest.mark.parametrize("backend", ["eager", *COMPILED])
BOTH = pytest.mark.parametrize(
    "kernel", [LOGISTIC_MIXTURE_LOG_PROB, LOGISTIC_MIXTURE_SAMPLE], ids=lambda kernel: kernel.name
)


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


def some(harness: ModuleType, kernel: Kernel = LOGISTIC_MIXTURE_LOG_PROB, **config: Any) -> dict[str, Any]:
    return harness.make(kernel, config.pop("dtype", torch.float64), **config)


@BOTH
@pytest.mark.parametrize(
    ("rows", "components", "channels"),
    [(1, 1, 1), (2, 10, 1), (129, 13, 1), (151, 10, 3), (1134, 10, 1), (1, 31, 3), (3, 100, 1)],
)
def test_any_size(harness: ModuleType, kernel: Kernel, rows: int, components: int, channels: int) -> None:
    inputs = some(harness, kernel, dtype=torch.float32, rows=rows, components=components, channels=channels, seed=3)
    harness.compare(kernel, harness.scattered(inputs))


@BOTH
@given(shape=st.lists(st.integers(0, 3), min_size=0, max_size=3), data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_shape(harness: ModuleType, kernel: Kernel, shape: list[int], data: st.DataObject) -> None:
    k, channels = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 3]))
    inputs = some(harness, kernel, rows=math.prod(shape), components=k, channels=channels)
    order = data.draw(st.permutations(range(len(shape))))
    for key in {"params", "x", "noise"} & inputs.keys():
        x = inputs[key].reshape(shape + list(inputs[key].shape[1:]))
        last = list(range(len(shape), x.dim()))
        back = [order.index(i) for i in range(len(shape))]
        inputs[key] = x.permute([*order, *last]).contiguous().permute([*back, *last])
    found = harness.outputs(kernel.call(**inputs, backend="triton"))
    expected = harness.outputs(kernel.call(**inputs, backend="eager"))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        harness.close(a, b, (1e-12, 1e-12))


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


SCALES = (-30.0, -14.0, -13.0, -9.0, -5.0, 0.0, 5.0, 20.0, 90.0, 200.0)


def extremes(levels: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return one component at every scale, with means next to the level, within its bin, and far away."""
    rows = [
        (0.0, 2 * x / (levels - 1) - 1 + shift, scale, x)
        for scale in SCALES
        for x in (0, 1, levels // 2, levels - 2, levels - 1)
        for shift in (0.0, 0.3 / levels, -1.0 / levels, 0.5, -1.9, 60.0, -60.0)
    ]
    table = torch.tensor(rows, dtype=torch.float64, device=device)
    return table[:, :3].to(dtype), table[:, 3].long()


def close_gradients(params: Tensor, found: Tensor, expected: Tensor, unit: float) -> None:
    """Compare gradients; the error of a mean's is that of a difference of probabilities, divided by the scale."""
    steep = (-params.detach().double()[:, 2:].clamp_min(-14)).exp()
    slack = torch.cat([torch.zeros_like(steep), steep, torch.zeros_like(steep)], 1)
    assert ((found - expected).abs() <= unit / 5 * (1 + expected.abs() + slack)).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("levels", [256, 65536])
def test_extreme_scales_and_distances(harness: ModuleType, rounds_once: bool, levels: int, dtype: torch.dtype) -> None:
    params, x = extremes(levels, dtype, harness.DEVICE)
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
    close_gradients(exact, mine, theirs, unit)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize(("dtype", "unit"), [(torch.float64, 1e-14), (torch.float32, 5e-7)], ids=str)
def test_narrow_and_wide_bins_meet(harness: ModuleType, backend: str, dtype: torch.dtype, unit: float) -> None:
    scales = torch.linspace(-0.5, 0.5, 101, dtype=torch.float64)  # of 3 levels, half a bin is half a scale at 0
    params = torch.stack([torch.zeros(101), torch.full((101,), 0.1), scales], 1).to(harness.DEVICE, dtype)
    x = torch.ones(101, dtype=torch.long, device=harness.DEVICE)
    found = logistic_mixture_log_prob(params, x, levels=3, components=1, backend=backend)
    expected = logistic_mixture_log_prob(params.double(), x, levels=3, components=1, backend="eager")
    harness.close(found, expected, (unit, unit))


@pytest.mark.skipif("numba" not in COMPILED, reason="tensors are on a GPU")
@pytest.mark.parametrize("levels", [256, 65536])
def test_numba_at_extreme_scales_and_distances(harness: ModuleType, levels: int) -> None:
    params, x = extremes(levels, torch.float32, harness.DEVICE)
    exact = params.double().requires_grad_(True)
    expected = logistic_mixture_log_prob(exact, x, levels=levels, components=1, backend="eager")
    (theirs,) = torch.autograd.grad(expected.sum(), exact)
    for one, unit in [(params, 1e-5), (params.double(), 1e-10)]:
        one.requires_grad_(True)
        found = logistic_mixture_log_prob(one, x, levels=levels, components=1, backend="numba")
        harness.close(found.detach(), expected.detach(), (unit, unit))
        (mine,) = torch.autograd.grad(found.sum(), one)
        close_gradients(exact, mine, theirs, unit)


@pytest.mark.skipif("numba" not in COMPILED, reason="tensors are on a GPU")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 3, 17])
def test_numba_s_gradient_is_that_of_differences(harness: ModuleType, levels: int, channels: int) -> None:
    inputs = some(harness, rows=12, components=3, channels=channels, levels=levels)
    params = inputs.pop("params")
    params[:, 3 * (1 + channels) : 3 * (1 + 2 * channels)] += 2  # some bins narrow, some wide
    params.requires_grad_(True)

    def call(params: Tensor) -> Tensor:
        return logistic_mixture_log_prob(params, **inputs, backend="numba")

    assert torch.autograd.gradcheck(call, params)


@pytest.mark.skipif("numba" not in COMPILED, reason="tensors are on a GPU")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_numba_s_gradient_of_flat_coefficients_keeps_its_digits(harness: ModuleType, dtype: torch.dtype) -> None:
    params = torch.tensor([[0.0, 0.1, -0.2, 0.3, -1.0, -1.0, -1.0, 8.0, -8.0, 0.0]], dtype=dtype, requires_grad=True)
    exact = params.detach().double().requires_grad_(True)
    found, expected = (
        torch.autograd.grad(
            logistic_mixture_log_prob(
                one, torch.tensor([[30, 200, 90]]), levels=256, components=1, channels=3, backend=backend
            ).sum(),
            one,
        )[0]
        for one, backend in ((params, "numba"), (exact, "eager"))
    )
    assert 0 < expected[0, 7:9].abs().max() < 1e-4
    harness.close(found[:, 7:], expected[:, 7:], (1e-9 if dtype == torch.float64 else 2e-4, 0))


@pytest.mark.skipif("numba" not in COMPILED, reason="tensors are on a GPU")
def test_numba_s_cache_depends_on_all_sources(harness: ModuleType) -> None:
    from arbench.kernels.mixture import numba_mixture

    inputs = some(harness, rows=2)
    found = logistic_mixture_log_prob(**{**inputs, "params": inputs["params"].requires_grad_(True)}, backend="numba")
    found.sum().backward()
    for compiled in (numba_mixture.log_probs, numba_mixture.gradients):
        assert compiled.signatures
        assert all(numba_mixture.HELPERS in str(signature[-1]) for signature in compiled.signatures)


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
    if "numba" in COMPILED:
        compare_numba(harness, inputs)


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


def compare_numba(harness: ModuleType, inputs: dict[str, Any], slack: float = 1.0) -> None:
    """Compare one call and its gradient with the float64 reference, in guarded memory.

    The tolerance of the gradient is ``slack`` times the kernel's.
    """
    exact = harness.widened(inputs)
    dtype = inputs["params"].dtype
    params, _ = inputs["params"].requires_grad_(True), exact["params"].requires_grad_(True)
    guard, generator = harness.Guard(), torch.Generator().manual_seed(1)
    with allocating(guard):
        found = logistic_mixture_log_prob(**inputs, backend="numba")
    expected = logistic_mixture_log_prob(**exact, backend="eager")
    harness.close(found.detach(), expected.detach(), LOGISTIC_MIXTURE_LOG_PROB.tolerance[dtype])
    g = harness.poisoned(torch.randn(found.shape, generator=generator, dtype=torch.float64).to(dtype))
    with allocating(guard):
        (mine,) = torch.autograd.grad(found, params, g)
    (theirs,) = torch.autograd.grad(expected, exact["params"], g.double())
    guard.check()
    assert LOGISTIC_MIXTURE_LOG_PROB.gradient_tolerance is not None
    rtol, atol = LOGISTIC_MIXTURE_LOG_PROB.gradient_tolerance[dtype]
    harness.close(mine, theirs, (slack * rtol, slack * atol))


@pytest.mark.skipif("numba" not in COMPILED, reason="tensors are on a GPU")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [0, 1, 63, 64, 65, 1134])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_numba(harness: ModuleType, dtype: torch.dtype, rows: int, channels: int) -> None:
    inputs = some(harness, dtype=dtype, rows=rows, components=7, channels=channels)
    around = torch.full((rows + 2, inputs["params"].shape[1] + 3), float("nan"), dtype=dtype)
    around[1:-1, 2:-1] = inputs["params"]
    inputs["params"], inputs["x"] = around[1:-1, 2:-1], harness.poisoned(inputs["x"])
    # Of components hundreds of nats away from their level, float32 shares out the last digits otherwise.
    compare_numba(harness, inputs, slack=10.0 if dtype == torch.float32 else 1.0)


@pytest.mark.skipif("numba" not in COMPILED, reason="tensors are on a GPU")
def test_numba_gives_the_same_bits_in_any_number_of_threads(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arbench.kernels.core import numba_rows

    inputs = some(harness, dtype=torch.float32, rows=301)
    params = inputs["params"].requires_grad_(True)

    def both() -> tuple[Tensor, Tensor]:
        found = logistic_mixture_log_prob(**inputs, backend="numba")
        return found, torch.autograd.grad(found.sum(), params)[0]

    alone = both()
    monkeypatch.setattr(numba_rows, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert all(torch.equal(a, b) for a, b in zip(alone, both(), strict=True))


@pytest.mark.parametrize("backend", COMPILED)
def test_no_gradient_below_the_floor_of_scales(harness: ModuleType, backend: str) -> None:
    params = torch.tensor([[0.0, 0.1, -15.0], [0.0, 0.1, -14.0]], device=harness.DEVICE).requires_grad_(True)
    x = torch.tensor([100, 100], device=harness.DEVICE)
    found = logistic_mixture_log_prob(params, x, levels=256, components=1, backend=backend)
    assert found[0] == found[1]
    (grad,) = torch.autograd.grad(found.sum(), params)
    assert grad[0, 2] == 0
    assert grad[1, 2] != 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("components", [5, 10, 11, 21])
def test_two_narrow_blocks_agree_with_a_wide_one(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch, components: int, channels: int
) -> None:
    inputs = some(harness, rows=3, components=components, channels=channels)
    assert tiles.component_blocks(components)[1] > 0
    split = logistic_mixture_log_prob(**inputs, backend="triton")
    monkeypatch.setattr(tiles, "component_blocks", lambda k: (32, 0))
    harness.close(split, logistic_mixture_log_prob(**inputs, backend="triton"), (1e-13, 1e-13))


def test_blocks_contain_every_component_and_few_others() -> None:
    sizes = {k: tiles.component_blocks(k) for k in range(1, 65)}
    assert [sizes[k] for k in (1, 5, 8, 10, 11, 13, 30)] == [
        (1, 0),
        (4, 1),
        (8, 0),
        (8, 2),
        (8, 4),
        (16, 0),
        (32, 0),
    ]
    assert all(k <= sum(sizes[k]) < 4 / 3 * k + 0.5 for k in sizes)


@BOTH
def test_strides_change_no_bit(harness: ModuleType, kernel: Kernel) -> None:
    inputs = some(harness, kernel, dtype=torch.float32, rows=200)
    dense = harness.outputs(kernel.call(**inputs, backend="triton"))
    strided = harness.outputs(kernel.call(**harness.scattered(inputs), backend="triton"))
    assert all(torch.equal(a, b) for a, b in zip(dense, strided, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_distribution_agrees(harness: ModuleType, dtype: torch.dtype) -> None:
    distribution = DiscretizedLogisticMixture(levels=256, components=10)
    inputs = some(harness, LOGISTIC_MIXTURE_SAMPLE, dtype=dtype, rows=500)
    params, z = inputs["params"], inputs["noise"]
    drawn, log_prob = logistic_mixture_sample(**inputs, backend="eager")
    assert torch.equal(drawn, distribution.draw(params, z))
    assert torch.equal(log_prob, distribution.log_prob(params, drawn))
    found, found_log_prob = harness.on_triton(lambda: logistic_mixture_sample(**inputs, backend="triton"))
    assert torch.equal(found, drawn)
    harness.close(found_log_prob, log_prob, (1e-5, 1e-5))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backend", ["eager", "triton"])
def test_draws_follow_the_law(harness: ModuleType, backend: str, channels: int) -> None:
    k, levels, n = 3, 3 if channels == 3 else 7, 4_000
    params = some(harness, rows=1, components=k, channels=channels)["params"][0]
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


@pytest.mark.parametrize("backend", ["eager", "triton"])
def test_later_channels_follow_the_rounded_earlier_ones(harness: ModuleType, backend: str) -> None:
    k, levels = 2, 4
    inputs = some(harness, LOGISTIC_MIXTURE_SAMPLE, rows=300, components=k, channels=3, levels=levels)
    found, _ = logistic_mixture_sample(**inputs, backend=backend)
    pairs = list(zip(inputs["params"].tolist(), inputs["noise"].tolist(), strict=True))
    assert found.tolist() == [slow_draw(p, z, levels, k, rounded=True) for p, z in pairs]
    assert found.tolist() != [slow_draw(p, z, levels, k, rounded=False) for p, z in pairs]


@pytest.mark.parametrize("backend", ["eager", "triton"])
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
    assert math.isclose(float(log_prob), -29.0 + math.log(sigmoid(math.exp(9) / 255)), rel_tol=1e-5)


GIVEN = torch.zeros(4, dtype=torch.long)
GOOD: dict[str, Any] = dict(levels=256, components=2, channels=1)


@BOTH
@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (dict(levels=1), ValueError, "levels must lie in 2 .. 16777216, not 1"),
        (dict(levels=2.5), TypeError, "levels must be an integer, not 2.5"),
        (dict(components=1.0), TypeError, "components must be an integer, not 1.0"),
        (dict(levels=2**24 + 1), ValueError, "levels must lie in 2 .. 16777216, not 16777217"),
        (dict(components=0), ValueError, "components must lie in 1 .. 1024, not 0"),
        (dict(components=1025), ValueError, "components must lie in 1 .. 1024, not 1025"),
        (dict(channels=2), ValueError, "channels must be 1 or 3, not 2"),
        (
            dict(components=3),
            ValueError,
            "the last axis of params must have 9 elements for 3 components and 1 channels; the shape is (4, 6)",
        ),
        (
            dict(channels=3),
            ValueError,
            "the last axis of params must have 20 elements for 2 components and 3 channels; the shape is (4, 6)",
        ),
        (
            dict(params=torch.zeros(())),
            ValueError,
            "the last axis of params must have 6 elements for 2 components and 1 channels; the shape is ()",
        ),
        (
            dict(params=torch.zeros(4, 6, dtype=torch.long)),
            TypeError,
            "params must be float64, float32, float16 or bfloat16, not torch.int64",
        ),
    ],
)
def test_misuse(kernel: Kernel, changed: dict[str, Any], error: type[Exception], message: str) -> None:
    second = {"x": torch.zeros(4, dtype=torch.long)}
    if kernel is LOGISTIC_MIXTURE_SAMPLE:
        second = {"noise": torch.zeros(4, 3)}
    with pytest.raises(error) as caught:
        kernel.call(**{"params": torch.zeros(4, 6), **second, **GOOD, **changed}, backend="eager")
    assert str(caught.value) == f"{kernel.name}: {message}"


@pytest.mark.parametrize(
    ("call", "second", "error", "message"),
    [
        (logistic_mixture_log_prob, {"x": torch.zeros(4)}, TypeError, "x must be int64, not torch.float32"),
        (
            logistic_mixture_log_prob,
            {"x": torch.zeros(3, dtype=torch.long)},
            ValueError,
            "x must have shape (4,) for params of shape (4, 6), not (3,)",
        ),
        (
            logistic_mixture_log_prob,
            {"x": torch.zeros(4, dtype=torch.long, device="meta")},
            ValueError,
            "x is on meta, params is on cpu; move them to one device",
        ),
        (
            logistic_mixture_log_prob,
            {"x": GIVEN, "backend": "numba", "params": torch.zeros(4, 6).half()},
            TypeError,
            "the Numba backend needs float32 or float64 params, not torch.float16",
        ),
        (
            logistic_mixture_log_prob,
            {"x": GIVEN, "backend": "numba", "params": torch.zeros(6, 4).T},
            ValueError,
            "the Numba backend needs params contiguous along the last axis, whose stride is 4",
        ),
        (logistic_mixture_sample, {"noise": torch.zeros(4, 3), "backend": "numba"}, ValueError, None),
        (
            logistic_mixture_sample,
            {"noise": torch.zeros(4, 2)},
            ValueError,
            "noise must have shape (4, 3) for params of shape (4, 6), not (4, 2)",
        ),
        (
            logistic_mixture_sample,
            {"noise": torch.zeros(4, 3).double()},
            TypeError,
            "noise is torch.float64, params is torch.float32; convert them to one dtype",
        ),
    ],
)
def test_misuse_of_levels_and_noise(
    call: Any, second: dict[str, Any], error: type[Exception], message: str | None
) -> None:
    with pytest.raises(error) as caught:
        call(**{"params": torch.zeros(4, 6), **second, **GOOD})
    said = f": {message}" if message else " has no backend 'numba'; available: eager, triton"
    assert str(caught.value) == call.__name__ + said


def test_axes_that_do_not_merge(harness: ModuleType) -> None:
    params = torch.zeros(3, 3, 3, 3, 6, device=harness.DEVICE)[::2, ::2, ::2, ::2]
    x = torch.zeros(2, 2, 2, 2, dtype=torch.long, device=harness.DEVICE)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        logistic_mixture_log_prob(params, x, levels=256, components=2, backend="triton")
    assert str(caught.value) == (
        "logistic_mixture_log_prob: 4 leading axes of shape (2, 2, 2, 2) do not merge into 3; "
        "make the tensor contiguous"
    )


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

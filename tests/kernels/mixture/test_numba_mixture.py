"""The mixture's log-probabilities and gradient as Numba compiles them: right at every extreme, in any threads."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.kernels import LOGISTIC_MIXTURE_LOG_PROB, logistic_mixture_log_prob
from arbench.kernels.core.launch import allocating

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tensors are on a GPU")


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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [0, 1, 63, 64, 65, 1134])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_numba(harness: ModuleType, dtype: torch.dtype, rows: int, channels: int) -> None:
    inputs = harness.make(LOGISTIC_MIXTURE_LOG_PROB, dtype, rows=rows, components=7, channels=channels)
    around = torch.full((rows + 2, inputs["params"].shape[1] + 3), float("nan"), dtype=dtype)
    around[1:-1, 2:-1] = inputs["params"]
    inputs["params"], inputs["x"] = around[1:-1, 2:-1], harness.poisoned(inputs["x"])
    # Of components hundreds of nats away from their level, float32 shares out the last digits otherwise.
    compare_numba(harness, inputs, slack=10.0 if dtype == torch.float32 else 1.0)


def test_numba_of_components_far_and_near_in_one_row(harness: ModuleType) -> None:
    params = torch.tensor([[0.0, 300.0, -50.0, 0.5, 0.0, 60.0, -9.0, -2.0, -3.0]])
    compare_numba(harness, {"params": params, "x": torch.tensor([70]), "levels": 256, "components": 3, "channels": 1})


@pytest.mark.parametrize("levels", [256, 65536])
def test_numba_at_extreme_scales_and_distances(harness: ModuleType, extremes: ModuleType, levels: int) -> None:
    params, x = extremes.parameters(levels, torch.float32, harness.DEVICE)
    exact = params.double().requires_grad_(True)
    expected = logistic_mixture_log_prob(exact, x, levels=levels, components=1, backend="eager")
    (theirs,) = torch.autograd.grad(expected.sum(), exact)
    for one, unit in [(params, 1e-5), (params.double(), 1e-10)]:
        one.requires_grad_(True)
        found = logistic_mixture_log_prob(one, x, levels=levels, components=1, backend="numba")
        harness.close(found.detach(), expected.detach(), (unit, unit))
        (mine,) = torch.autograd.grad(found.sum(), one)
        extremes.close_gradients(exact, mine, theirs, unit)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 3, 17])
def test_numba_s_gradient_is_that_of_differences(harness: ModuleType, levels: int, channels: int) -> None:
    inputs = harness.make(
        LOGISTIC_MIXTURE_LOG_PROB, torch.float64, rows=12, components=3, channels=channels, levels=levels
    )
    params = inputs.pop("params")
    params[:, 3 * (1 + channels) : 3 * (1 + 2 * channels)] += 2  # some bins narrow, some wide
    params.requires_grad_(True)

    def call(params: Tensor) -> Tensor:
        return logistic_mixture_log_prob(params, **inputs, backend="numba")

    assert torch.autograd.gradcheck(call, params)


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


def test_numba_s_cache_depends_on_all_sources(harness: ModuleType) -> None:
    from arbench.kernels.mixture import numba_mixture

    inputs = harness.make(LOGISTIC_MIXTURE_LOG_PROB, torch.float64, rows=2)
    found = logistic_mixture_log_prob(**{**inputs, "params": inputs["params"].requires_grad_(True)}, backend="numba")
    found.sum().backward()
    for compiled in (numba_mixture.log_probs, numba_mixture.gradients):
        assert compiled.signatures
        assert all(numba_mixture.HELPERS in str(signature[-1]) for signature in compiled.signatures)


def test_numba_gives_the_same_bits_in_any_number_of_threads(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arbench.kernels.core import numba_rows

    inputs = harness.make(LOGISTIC_MIXTURE_LOG_PROB, torch.float32, rows=301)
    params = inputs["params"].requires_grad_(True)

    def both() -> tuple[Tensor, Tensor]:
        found = logistic_mixture_log_prob(**inputs, backend="numba")
        return found, torch.autograd.grad(found.sum(), params)[0]

    alone = both()
    monkeypatch.setattr(numba_rows, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert all(torch.equal(a, b) for a, b in zip(alone, both(), strict=True))

"""Distributions on kernels: the log-probabilities and draws of plain PyTorch, and its exact bits by default."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arbench.distributions import Categorical, DiscretizedLogisticMixture, Distribution, Logistic
from arbench.distributions.base import kernel_for
from arbench.kernels.core.launch import launched

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAWS = [
    Categorical(1),
    Categorical(17),
    Categorical(300),
    DiscretizedLogisticMixture(2, 1),
    DiscretizedLogisticMixture(256, 3),
    DiscretizedLogisticMixture(65536, 10),
]
EACH = pytest.mark.parametrize(
    "distribution", LAWS, ids=lambda distribution: f"{type(distribution).__name__}-{distribution.levels}"
)
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 0.2}


def on(backend: str, distribution: Distribution) -> Distribution:
    """Return a copy of a distribution on a backend."""
    other = type(distribution)(
        *(getattr(distribution, k) for k in ("levels", "components") if hasattr(distribution, k))
    )
    other.backend = backend
    return other


def example(distribution: Distribution, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return parameters (2, 50, P), noise and levels, with unusual strides."""
    g = torch.Generator().manual_seed(0)
    params = torch.randn(2, 50, distribution.params_width, generator=g, dtype=torch.float64)
    z = distribution.noise(0, [0, 1], range(50), dtype)
    x = torch.randint(distribution.levels, (2, 50), generator=g)  # type: ignore[attr-defined]
    x[0, :2] = torch.tensor([0, distribution.levels - 1])  # type: ignore[attr-defined]
    return params.to(DEVICE, dtype), z.to(DEVICE), x.to(DEVICE)


@EACH
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_log_probabilities_equal_those_of_plain_pytorch(distribution: Distribution, dtype: torch.dtype) -> None:
    params, _, x = example(distribution, dtype)
    before = launched.total()
    found = on("triton", distribution).log_prob(params, x)
    assert launched.total() == before + 1
    exact = distribution.log_prob(params.double(), x)
    scale = 1e-5 if dtype in (torch.float16, torch.bfloat16) else TOLERANCES[dtype]
    torch.testing.assert_close(found.double(), exact, rtol=10 * scale, atol=10 * scale)
    torch.testing.assert_close(
        found.double(), distribution.log_prob(params, x).double(), rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype]
    )
    assert found.dtype == (dtype if dtype in (torch.float64, torch.float32) else torch.float32)


@EACH
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_draws_equal_those_of_plain_pytorch(distribution: Distribution, dtype: torch.dtype) -> None:
    """Draws agree except where half precision cannot distinguish the outcomes."""
    params, z, _ = example(distribution, dtype)
    before = launched.total()
    found = on("triton", distribution).draw(params, z)
    assert launched.total() == before + 1
    assert found.dtype == torch.long
    differs = found != distribution.draw(params.double(), z.double())
    near = distribution.margin(params.double(), z.double()) < 1e-5
    assert not (differs & ~near).any()
    if dtype in (torch.float64, torch.float32):
        assert torch.equal(found, distribution.draw(params, z))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_numba_scores_classes_and_leaves_the_rest_to_plain_pytorch(dtype: torch.dtype) -> None:
    for distribution in LAWS:
        params, z, x = (t.cpu() for t in example(distribution, dtype))
        other = on("numba", distribution)
        found, expected = other.log_prob(params, x), distribution.log_prob(params, x)
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
        assert torch.equal(other.draw(params, z), distribution.draw(params, z))


def test_the_default_is_plain_pytorch_in_the_same_bits() -> None:
    g = torch.Generator().manual_seed(0)
    params = torch.randn(2, 50, 17, generator=g)
    x = torch.randint(17, (2, 50), generator=g)
    before = launched.total()
    distribution = Categorical(17)
    z = distribution.noise(0, [0, 1], range(50), torch.float32)
    assert torch.equal(distribution.log_prob(params, x), params.log_softmax(-1).gather(-1, x[..., None])[..., 0])
    assert torch.equal(distribution.draw(params, z), (params + z).argmax(-1))
    assert launched.total() == before


def test_distributions_without_a_kernel_use_plain_pytorch_on_every_backend() -> None:
    params, z = torch.randn(2, 3, 2, device=DEVICE), torch.randn(2, 3, 1, device=DEVICE)
    assert torch.equal(on("triton", Logistic()).draw(params, z), Logistic().draw(params, z))
    assert kernel_for("wavenet_layer", "numba", torch.ones(1)) is None
    assert kernel_for("wavenet_layer", "eager", torch.ones(1)) is None
    assert kernel_for("wavenet_layer", "triton", torch.ones(1)) is not None


@EACH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_numba_leaves_half_precision_to_plain_pytorch(distribution: Distribution, dtype: torch.dtype) -> None:
    params, z, x = example(distribution, dtype)
    other = on("numba", distribution)
    assert torch.equal(other.draw(params, z), distribution.draw(params, z))
    assert torch.equal(other.log_prob(params, x), distribution.log_prob(params, x))

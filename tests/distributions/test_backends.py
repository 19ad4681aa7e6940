"""Laws on kernels: the log-probabilities and the draws of plain PyTorch, and its digits kept by default."""

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
EACH = pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{type(law).__name__}-{law.levels}")
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 0.2}


def on(backend: str, law: Distribution) -> Distribution:
    """A copy of a law on a backend."""
    other = type(law)(*(getattr(law, k) for k in ("levels", "components") if hasattr(law, k)))
    other.backend = backend
    return other


def example(law: Distribution, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters (2, 50, P), noise and levels, on odd strides."""
    g = torch.Generator().manual_seed(0)
    params = torch.randn(2, 50, law.params_width, generator=g, dtype=torch.float64)
    z = law.noise(0, [0, 1], range(50), dtype)
    x = torch.randint(law.levels, (2, 50), generator=g)  # type: ignore[attr-defined]
    x[0, :2] = torch.tensor([0, law.levels - 1])  # type: ignore[attr-defined]
    return params.to(DEVICE, dtype), z.to(DEVICE), x.to(DEVICE)


@EACH
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_log_probabilities_are_those_of_plain_pytorch(law: Distribution, dtype: torch.dtype) -> None:
    params, _, x = example(law, dtype)
    before = launched.total()
    found = on("triton", law).log_prob(params, x)
    assert launched.total() == before + 1
    exact = law.log_prob(params.double(), x)
    scale = 1e-5 if dtype in (torch.float16, torch.bfloat16) else TOLERANCES[dtype]
    torch.testing.assert_close(found.double(), exact, rtol=10 * scale, atol=10 * scale)
    torch.testing.assert_close(
        found.double(), law.log_prob(params, x).double(), rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype]
    )
    assert found.dtype == (dtype if dtype in (torch.float64, torch.float32) else torch.float32)


@EACH
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_draws_are_those_of_plain_pytorch(law: Distribution, dtype: torch.dtype) -> None:
    """But where half precision cannot tell."""
    params, z, _ = example(law, dtype)
    before = launched.total()
    found = on("triton", law).draw(params, z)
    assert launched.total() == before + 1
    assert found.dtype == torch.long
    differs = found != law.draw(params.double(), z.double())
    near = law.margin(params.double(), z.double()) < 1e-5
    assert not (differs & ~near).any()
    if dtype in (torch.float64, torch.float32):
        assert torch.equal(found, law.draw(params, z))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_numba_scores_classes_and_leaves_the_rest_to_plain_pytorch(dtype: torch.dtype) -> None:
    for law in LAWS:
        params, z, x = (t.cpu() for t in example(law, dtype))
        other = on("numba", law)
        found, expected = other.log_prob(params, x), law.log_prob(params, x)
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
        assert torch.equal(other.draw(params, z), law.draw(params, z))


def test_the_default_is_plain_pytorch_in_the_same_bits() -> None:
    g = torch.Generator().manual_seed(0)
    params = torch.randn(2, 50, 17, generator=g)
    x = torch.randint(17, (2, 50), generator=g)
    before = launched.total()
    law = Categorical(17)
    z = law.noise(0, [0, 1], range(50), torch.float32)
    assert torch.equal(law.log_prob(params, x), params.log_softmax(-1).gather(-1, x[..., None])[..., 0])
    assert torch.equal(law.draw(params, z), (params + z).argmax(-1))
    assert launched.total() == before


def test_what_has_no_kernel_is_plain_pytorch_on_every_backend() -> None:
    params, z = torch.randn(2, 3, 2, device=DEVICE), torch.randn(2, 3, 1, device=DEVICE)
    assert torch.equal(on("triton", Logistic()).draw(params, z), Logistic().draw(params, z))
    assert kernel_for("wavenet_layer", "numba", torch.ones(1)) is None
    assert kernel_for("wavenet_layer", "reference", torch.ones(1)) is None
    assert kernel_for("wavenet_layer", "triton", torch.ones(1)) is not None


@EACH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_numba_leaves_half_precision_to_plain_pytorch(law: Distribution, dtype: torch.dtype) -> None:
    params, z, x = example(law, dtype)
    other = on("numba", law)
    assert torch.equal(other.draw(params, z), law.draw(params, z))
    assert torch.equal(other.log_prob(params, x), law.log_prob(params, x))

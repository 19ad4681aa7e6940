"""Products with packed matrices: every shape, infinities and NaN, what is refused."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch

from arbench.kernels import PACKED_MATMUL, pack_weight, packed_matmul

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tensors are on a GPU")


@pytest.mark.parametrize("stored", [None, "bfloat16"])
@pytest.mark.parametrize("inputs", [0, 1, 16, 35])
@pytest.mark.parametrize("outputs", [0, 1, 64, 81])
@pytest.mark.parametrize("rows", [0, 1, 4, 6])
def test_every_shape(harness: ModuleType, inputs: int, outputs: int, rows: int, stored: str | None) -> None:
    for layers in (None, 3):
        config = dict(rows=rows, inputs=inputs, outputs=outputs, layers=layers, stored=stored, bias=rows > 1)
        harness.compare(PACKED_MATMUL, harness.make(PACKED_MATMUL, torch.float32, **config))


def test_no_layers_give_nothing() -> None:
    assert packed_matmul(torch.ones(0, 2, 3), pack_weight(torch.ones(0, 3, 5)), backend="numba").shape == (0, 2, 5)


def test_weights_are_rounded_once_and_copied() -> None:
    given = torch.tensor([[1 + 2**-12], [-3.0]]).expand(2, 40)
    weight = pack_weight(given, stored=torch.bfloat16)
    assert (weight.plain[0] == 1).all()
    assert weight.packed.dtype == torch.int16
    own = given.clone()
    weight = pack_weight(own)
    own.zero_()
    for backend in ("eager", "numba"):
        y = packed_matmul(torch.ones(1, 2), weight, backend=backend)
        assert torch.equal(y, given.sum(0, keepdim=True))


@pytest.mark.parametrize("backend", ["eager", "numba"])
def test_nan_and_infinities_stay_in_their_rows(backend: str) -> None:
    x = torch.ones(4, 20)
    x[0, 3], x[1, 17], x[2, 0] = math.nan, math.inf, -math.inf
    weight = torch.ones(20, 33)
    weight[:, 7] = -1
    y = packed_matmul(x, pack_weight(weight), backend=backend)
    assert y[0].isnan().all()
    assert (y[1, [0, 7]].tolist(), y[2, [0, 7]].tolist()) == ([math.inf, -math.inf], [-math.inf, math.inf])
    assert y[3, [0, 7]].tolist() == [20, -20]
    weight[2, 5] = math.nan
    y = packed_matmul(x, pack_weight(weight, stored=torch.bfloat16), backend=backend)
    assert y[:, 5].isnan().all()
    assert y[3, [4, 6]].tolist() == [20, 20]


def test_the_default_is_plain_pytorch_and_it_has_no_gradient() -> None:
    x, weight = torch.randn(3, 20, requires_grad=True), pack_weight(torch.randn(20, 9))
    y = packed_matmul(x, weight)
    assert torch.equal(y, x.detach() @ weight.plain)
    assert not y.requires_grad
    assert not packed_matmul(x, weight, backend="numba").requires_grad


WEIGHT = pack_weight(torch.ones(3, 5))
LAYERS = pack_weight(torch.ones(2, 3, 5))


@pytest.mark.parametrize(
    ("x", "weight", "bias", "error", "said"),
    [
        (torch.ones(2, 3), torch.ones(3, 5), None, TypeError, "weight must come from pack_weight, not be a Tensor"),
        ([1.0], WEIGHT, None, TypeError, "x must be a tensor, not list"),
        (torch.ones(2, 3).long(), WEIGHT, None, TypeError, "x must be float64, float32, float16 or bfloat16, not"),
        (torch.ones(2, 3).double(), WEIGHT, None, TypeError, "x is torch.float64, the weight was packed in torch.floa"),
        (torch.ones(2, 3).half(), WEIGHT, None, TypeError, "x is torch.float16, the weight was packed in torch.float"),
        (torch.ones(2, 4), WEIGHT, None, ValueError, "x must be (B, 3) for a weight (3, 5), not (2, 4)"),
        (torch.ones(3), WEIGHT, None, ValueError, "x must be (B, 3) for a weight (3, 5), not (3,)"),
        (torch.ones(3, 1, 3), LAYERS, None, ValueError, "x must be (2, B, 3) for a weight (2, 3, 5), not (3, 1, 3)"),
        (torch.ones(2, 3), WEIGHT, torch.ones(4), ValueError, "bias must be (5,) for a weight (3, 5), not (4,)"),
        (torch.ones(2, 1, 3), LAYERS, torch.ones(5), ValueError, "bias must be (2, 5) for a weight (2, 3, 5), not (5"),
        (torch.ones(2, 3), WEIGHT, torch.ones(5).double(), TypeError, "bias is torch.float64, x is torch.float32"),
        (torch.ones(2, 3, device="meta"), WEIGHT, None, ValueError, "the Numba backend needs a tensor on the CPU, not"),
    ],
)
def test_what_does_not_fit_is_refused(x: Any, weight: Any, bias: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        packed_matmul(x, weight, bias, backend="numba")
    assert str(caught.value).startswith(f"packed_matmul: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weight", "stored", "error", "said"),
    [
        ([1.0], None, TypeError, "weight must be a tensor, not list"),
        (
            torch.ones(3, 5).bfloat16(),
            None,
            TypeError,
            "weight must be float32 or float64, not torch.bfloat16; stored=",
        ),
        (torch.ones(3, 5).double(), torch.bfloat16, TypeError, "a torch.float64 weight cannot be stored as torch.bfl"),
        (torch.ones(3, 5), torch.float16, TypeError, "a torch.float32 weight cannot be stored as torch.float16; store"),
        (torch.ones(3), None, ValueError, "weight must be (I, O) or (L, I, O), not (3,)"),
        (torch.ones(3, 5, device="meta"), None, ValueError, "weight must be on the CPU, not on meta"),
    ],
)
def test_what_cannot_be_packed_is_refused(weight: Any, stored: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        pack_weight(weight, stored=stored)
    assert str(caught.value).startswith(f"pack_weight: {said}")

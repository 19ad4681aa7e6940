"""The gate of a WaveNet layer: extremes, NaN of any bits, threads, what is refused."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch

from arbench.kernels import GATED_TANH, gated_tanh

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tensors are on a GPU")
EXTREMES = (0.0, -0.0, 1e-30, 1e-3, -0.5, 3.0, -20.0, 88.0, -89.0, 1e30, math.inf, -math.inf, math.nan)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_every_pair_of_extremes(harness: ModuleType, dtype: torch.dtype) -> None:
    numbers = torch.tensor(EXTREMES, dtype=dtype)
    a = torch.cat([numbers.repeat_interleave(len(numbers)), numbers.repeat(len(numbers))]).expand(2, -1)
    harness.compare(GATED_TANH, {"a": a})
    found, expected = gated_tanh(a.contiguous(), backend="numba"), gated_tanh(a.double())
    harness.close(found, expected, (0, 4 * torch.finfo(dtype).eps))


def test_a_nan_of_any_bits_is_nan() -> None:
    bits = [0x7FC00000, 0xFFC00000, 0x7FC00001, 0x7FFFFFFF, 0x7F800001, 0xFFC00123]
    a = torch.zeros(2, 12)
    a[0, :6] = a[1, 6:] = torch.from_numpy(np.array(bits, np.uint32).view(np.float32))
    assert gated_tanh(a, backend="numba").isnan().all()


def test_any_leading_axes_in_threads(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arbench.kernels.core.numba_rows.WORTH_A_THREAD", 1)
    a = torch.randn(2, 3, 5, 34, generator=torch.Generator().manual_seed(0))
    harness.compare(GATED_TANH, {"a": harness.poisoned(a, last=1).transpose(0, 2)})
    harness.compare(GATED_TANH, {"a": a[0, 0, 0]})
    for shape in ((0, 4), (3, 0), (0,)):
        assert gated_tanh(torch.ones(shape), backend="numba").shape == (*shape[:-1], shape[-1] // 2)


def test_half_precision_is_computed_in_float32_by_plain_pytorch(harness: ModuleType) -> None:
    a = harness.make(GATED_TANH, torch.bfloat16, rows=3, channels=9)["a"].requires_grad_(True)
    f, g = a.detach().float().chunk(2, -1)
    y = gated_tanh(a)
    assert torch.equal(y, (f.tanh() * g.sigmoid()).bfloat16())
    assert not y.requires_grad
    with pytest.raises(
        TypeError, match=r"^gated_tanh: the Numba backend needs float32 or float64 a, not torch.bfloat16$"
    ):
        gated_tanh(a, backend="numba")


def test_what_does_not_fit_is_refused() -> None:
    for shape in ((2, 5), ()):
        with pytest.raises(
            ValueError, match=r"^gated_tanh: the last axis of a must be even, f then g; the shape is \("
        ):
            gated_tanh(torch.ones(shape), backend="numba")
    with pytest.raises(ValueError, match=r"needs a contiguous along the last axis, whose stride is 4$"):
        gated_tanh(torch.ones(6, 4).t(), backend="numba")
    with pytest.raises(TypeError, match=r"^gated_tanh: a must be float64, .*, not torch.int64$"):
        gated_tanh(torch.ones(2, 4).long(), backend="numba")

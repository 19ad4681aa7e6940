"""Softmax and log-softmax: every width and axis, infinities, and wide rows by the same checks as narrow ones."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arbench.kernels import LOG_SOFTMAX, SOFTMAX, Kernel, log_softmax, softmax
from arbench.kernels.core.launch import launched

BOTH = pytest.mark.parametrize("kernel", [SOFTMAX, LOG_SOFTMAX], ids=lambda kernel: kernel.name)
inf = float("inf")


@pytest.fixture
def two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rows of more than 8 elements wide ones."""
    module = sys.modules[softmax.__module__]
    monkeypatch.setattr(module, "SINGLE_PASS_WIDTH", 8)
    monkeypatch.setattr(module, "TWO_PASS_BLOCK", 4)


@BOTH
@pytest.mark.parametrize("width", [1, 2, 3, 129, 151, 1134, 4099])
def test_any_width(harness: ModuleType, kernel: Kernel, width: int) -> None:
    harness.compare(kernel, harness.scattered(harness.make(kernel, torch.float32, rows=3, width=width)))


@BOTH
@pytest.mark.parametrize("width", [9, 12, 16, 129])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.usefixtures("two_passes")
def test_rows_too_wide_for_registers(harness: ModuleType, kernel: Kernel, width: int, dtype: torch.dtype) -> None:
    before = launched["softmax_two_pass_kernel"], launched["softmax_backward_two_pass_kernel"]
    harness.compare(kernel, harness.scattered(harness.make(kernel, dtype, rows=3, width=width)))
    after = launched["softmax_two_pass_kernel"], launched["softmax_backward_two_pass_kernel"]
    assert all(b > a for a, b in zip(before, after, strict=True))


@BOTH
def test_the_widest_row_promised(harness: ModuleType, kernel: Kernel) -> None:
    harness.compare(kernel, harness.make(kernel, torch.float32, rows=1, width=262_144))


ROWS = torch.tensor(
    [
        [-inf] * 12,
        [0.0] + [-inf] * 11,
        [-inf] * 11 + [1.0],
        [1e30, -1e30] * 6,
        [3e38] * 12,
        [-3e38] * 12,
        [1e-40] * 12,
        [88.0, -88.0, 0.0] * 4,
        [inf] + [0.0] * 11,
        [float("nan")] + [0.0] * 11,
    ]
)


def extremes(harness: ModuleType, kernel: Kernel) -> None:
    inputs = {"x": harness.poisoned(ROWS.to(harness.DEVICE)), "dim": -1}
    found = harness.on_triton(lambda: kernel.call(**inputs, backend="triton"))
    harness.close(found, kernel.call(**harness.widened(inputs), backend="eager"), (1e-5, 1e-5))


@BOTH
def test_infinities_and_extremes(harness: ModuleType, kernel: Kernel) -> None:
    extremes(harness, kernel)


@BOTH
@pytest.mark.usefixtures("two_passes")
def test_infinities_and_extremes_of_wide_rows(harness: ModuleType, kernel: Kernel) -> None:
    extremes(harness, kernel)


@BOTH
@given(shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_shape_and_axis(harness: ModuleType, kernel: Kernel, shape: list[int], data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(harness.DEVICE)
    axes = data.draw(st.permutations(range(len(shape))))
    x = x.permute(axes)
    if x.shape[dim] == 0:
        with pytest.raises(
            ValueError, match=rf"^{kernel.name}: x of shape .* is empty along dim {dim}; it needs at least one element$"
        ):
            kernel.call(x, dim, backend="triton")
        return
    found = kernel.call(x, dim, backend="triton")
    assert found.shape == x.shape
    harness.close(found, kernel.call(x, dim, backend="eager"), (1e-12, 1e-12))


def test_an_expanded_row_is_read_where_it_lies(harness: ModuleType) -> None:
    x = torch.randn(1, 5, device=harness.DEVICE).expand(3, 5)
    found = harness.on_triton(lambda: softmax(x, backend="triton"))
    harness.close(found, x.double().softmax(-1), (1e-5, 1e-5))


def test_strides_of_the_result_are_those_of_the_argument() -> None:
    x = torch.empty(4, 6, 2, device="meta").permute(2, 0, 1)
    assert softmax(x, 1, backend="eager").shape == x.shape
    from arbench.kernels.core.launch import recording

    with recording():
        assert softmax(x, 1, backend="triton").stride() == x.stride()


@BOTH
def test_a_gradient_whose_axes_do_not_merge(harness: ModuleType, kernel: Kernel) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 5, 6, generator=generator, dtype=torch.float64).to(harness.DEVICE)
    x.requires_grad_(True)
    weight = torch.randn(5, 4, 3, 2, 6, generator=generator, dtype=torch.float64).to(harness.DEVICE)
    found, expected = (
        torch.autograd.grad((kernel.call(x, backend=b).permute(3, 2, 1, 0, 4) * weight).sum(), x)[0]
        for b in ("triton", "eager")
    )
    harness.close(found, expected, (1e-12, 1e-12))


@BOTH
@pytest.mark.parametrize(
    ("x", "dim", "error", "message"),
    [
        (torch.zeros(()), -1, ValueError, "x is a scalar; it needs at least one axis"),
        (torch.zeros(2, 3), 2, ValueError, "dim 2 is out of range for x with 2 axes"),
        (torch.zeros(2, 0), -1, ValueError, "x of shape (2, 0) is empty along dim -1; it needs at least one element"),
        (np.zeros((2, 3)), -1, TypeError, "x must be a tensor, not ndarray"),
        (
            torch.zeros(2, 3, dtype=torch.long),
            -1,
            TypeError,
            "x must be float64, float32, float16 or bfloat16, not torch.int64",
        ),
        (
            torch.zeros(3, 3, 3, 3, 3)[:2, :2, :2, :2],
            -1,
            ValueError,
            "4 leading axes of shape (2, 2, 2, 2) do not merge into 3; make the tensor contiguous",
        ),
    ],
)
def test_misuse(harness: ModuleType, kernel: Kernel, x: Any, dim: int, error: type[Exception], message: str) -> None:
    if isinstance(x, torch.Tensor):
        x = x.to(harness.DEVICE)
    with pytest.raises(error) as caught:
        kernel.call(x, dim, backend="triton")
    assert str(caught.value) == f"{kernel.name}: {message}"


def test_triton_needs_a_gpu_or_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(ValueError, match=r"^log_softmax: the Triton kernel needs a CUDA tensor, not one on cpu$"):
        log_softmax(torch.zeros(3), backend="triton")
    assert torch.equal(log_softmax(torch.zeros(3)), torch.zeros(3).log_softmax(-1))

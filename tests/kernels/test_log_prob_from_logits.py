"""Log-probabilities from logits: any width, index and shape, wide rows, Numba, and errors."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arbench.kernels import LOG_PROB_FROM_LOGITS as KERNEL
from arbench.kernels import log_prob_from_logits
from arbench.kernels.core.launch import launched

BACKENDS = pytest.mark.parametrize("backend", ["eager", "triton", "numba"])
inf, nan = float("inf"), float("nan")


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make rows of more than 8 classes wide ones, and see that the program for these ran."""
    monkeypatch.setattr(sys.modules[log_prob_from_logits.__module__], "SINGLE_BLOCK_WIDTH", 8)
    before = launched["log_prob_online_kernel"]
    yield
    assert launched["log_prob_online_kernel"] > before


@pytest.mark.parametrize("width", [1, 2, 3, 129, 151, 1134, 4099])
def test_any_width(harness: ModuleType, width: int) -> None:
    harness.compare(KERNEL, harness.scattered(harness.make(KERNEL, torch.float32, rows=3, width=width)))


@pytest.mark.parametrize("width", [9, 129, 4096, 4099, 8193])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.usefixtures("online")
def test_rows_too_wide_for_registers(harness: ModuleType, width: int, dtype: torch.dtype) -> None:
    before = launched["log_prob_online_kernel"]
    inputs = harness.make(KERNEL, dtype, rows=3, width=width, ignore_index=-100)
    harness.compare(KERNEL, harness.scattered(inputs))
    assert launched["log_prob_online_kernel"] == before + 1


def test_the_widest_row_promised(harness: ModuleType) -> None:
    harness.compare(KERNEL, harness.make(KERNEL, torch.float32, rows=1, width=262_144))


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
        [1e4, 1e4 - 1] * 6,
        [inf] + [0.0] * 11,
        [nan] + [0.0] * 11,
        [-nan] + [0.0] * 11,
        [inf, nan] * 6,
        [inf] * 12,
    ]
)


def device_of(harness: ModuleType, backend: str) -> torch.device:
    return torch.device("cpu") if backend == "numba" else harness.DEVICE


def extremes(harness: ModuleType, backend: str) -> None:
    """Check every class of every row, and the gradient; expanded rows are read without a copy."""
    device = device_of(harness, backend)
    x = ROWS.to(device)[:, None, :].expand(len(ROWS), 12, 12)
    index = torch.arange(12, device=device).expand(len(ROWS), 12)
    exact = x.double().requires_grad_()
    x = x.detach().requires_grad_()
    found = log_prob_from_logits(x, index, backend=backend)
    expected = log_prob_from_logits(exact, index, backend="eager")
    harness.close(found.detach(), expected.detach(), (1e-5, 1e-5))
    ones = torch.ones_like(found)
    harness.close(
        *(torch.autograd.grad(y, at, ones.to(y.dtype))[0] for y, at in ((found, x), (expected, exact))),
        (1e-5, 1e-5),
    )


@BACKENDS
def test_infinities_and_extremes(harness: ModuleType, backend: str) -> None:
    extremes(harness, backend)


@pytest.mark.usefixtures("online")
def test_infinities_and_extremes_of_wide_rows(harness: ModuleType) -> None:
    before = launched["log_prob_online_kernel"]
    extremes(harness, "triton")
    assert launched["log_prob_online_kernel"] > before


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("at", [0, 1023, 1024, 4095, 4096, 9000, 12287])
def test_no_lane_is_lost(harness: ModuleType, at: int) -> None:
    """Put one NaN, one infinity or one finite logit anywhere into a wide row of -inf."""
    for value in (nan, inf, 1e30, -1e30):
        x = torch.full((1, 12_288), -inf, device=harness.DEVICE)
        x[0, at] = value
        found = log_prob_from_logits(x, torch.tensor([at], device=harness.DEVICE), backend="triton")
        assert found.item() == 0 if abs(value) < inf else found.isnan()


@given(shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_shape(harness: ModuleType, shape: list[int], data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(harness.DEVICE)
    x = x.permute(data.draw(st.permutations(range(len(shape)))))
    width = x.shape[-1]
    index = torch.randint(max(width, 1), x.shape[:-1], generator=generator).to(harness.DEVICE)
    backends = ["triton"] + ["numba"] * (harness.DEVICE.type == "cpu" and (width == 1 or x.stride(-1) == 1))
    for backend in backends:
        if width == 0:
            with pytest.raises(ValueError, match=r"^log_prob_from_logits: logits of shape .* have no classes"):
                log_prob_from_logits(x, index, backend=backend)
            continue
        leaf, same = (x.detach().requires_grad_() for _ in range(2))
        found = log_prob_from_logits(leaf, index, backend=backend)
        expected = log_prob_from_logits(same, index, backend="eager")
        assert found.shape == x.shape[:-1]
        harness.close(found.detach(), expected.detach(), (1e-12, 1e-12))
        (mine,), (theirs,) = (torch.autograd.grad(y.sum(), at) for y, at in ((found, leaf), (expected, same)))
        harness.close(mine, theirs, (1e-12, 1e-12))


@pytest.mark.parametrize("backend", ["triton", "numba"])
def test_a_gradient_whose_axes_do_not_merge(harness: ModuleType, backend: str) -> None:
    device = device_of(harness, backend)
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64, device=device, requires_grad=True)
    index = torch.randint(6, (2, 3, 4, 5), device=device)
    weight = torch.randn(5, 4, 3, 2, dtype=torch.float64, device=device)
    found, expected = (
        torch.autograd.grad((log_prob_from_logits(x, index, backend=b).permute(3, 2, 1, 0) * weight).sum(), x)
        for b in (backend, "eager")
    )
    harness.close(found[0], expected[0], (1e-12, 1e-12))


@pytest.mark.parametrize(
    ("ignored", "error", "message"),
    [
        (1.5, TypeError, "ignore_index must be an integer, not 1.5"),
        (2**63, ValueError, f"ignore_index must fit into 64 bits, not {2**63}"),
    ],
)
def test_misuse_of_ignored_positions(ignored: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        log_prob_from_logits(torch.zeros(2, 3), INDEX, ignore_index=ignored)
    assert str(caught.value) == f"log_prob_from_logits: {message}"


@BACKENDS
@pytest.mark.parametrize("ignored", [-100, 0, 2, 7, -1])
def test_ignored_positions_are_zero(harness: ModuleType, backend: str, ignored: int) -> None:
    """Ignore positions whatever their logits are; the others do not change."""
    device = device_of(harness, backend)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).to(device)
    x[1], x[3] = nan, -inf
    x.requires_grad_()
    index = torch.tensor([1, ignored, 1, ignored], device=device)
    found = log_prob_from_logits(x, index, ignore_index=ignored, backend=backend)
    (gradient,) = torch.autograd.grad(found, x, torch.ones_like(found))
    alone = log_prob_from_logits(x[::2], index[::2], backend=backend)
    assert torch.equal(found[1::2], torch.zeros_like(found[1::2]))
    assert torch.equal(gradient[1::2], torch.zeros_like(gradient[1::2]))
    assert torch.equal(found[::2], alone)
    assert torch.equal(gradient[::2], torch.autograd.grad(alone, x, torch.ones_like(alone))[0][::2])


@pytest.mark.parametrize("index", [-1, 3, 2**40, -(2**40)])
def test_no_program_reads_out_of_range(harness: ModuleType, index: int) -> None:
    memory = torch.zeros(5, 3, device=harness.DEVICE)
    x = memory[1:4].requires_grad_()
    places = torch.tensor([0, index, 2], device=harness.DEVICE)
    found = harness.on_triton(lambda: log_prob_from_logits(x, places, backend="triton"))
    (gradient,) = torch.autograd.grad(found, x, torch.ones_like(found))
    assert found.isnan().tolist() == [False, True, False]
    assert gradient.isnan().all(-1).tolist() == gradient.isnan().any(-1).tolist() == [False, True, False]


@pytest.mark.parametrize("backend", ["eager", "numba"])
@pytest.mark.parametrize("index", [-1, 3, -100])
def test_a_cpu_refuses_an_index_out_of_range(backend: str, index: int) -> None:
    message = rf"^log_prob_from_logits: index {index} is out of range for 3 classes$"
    with pytest.raises(IndexError, match=message):
        log_prob_from_logits(torch.zeros(2, 3), torch.tensor([1, index]), ignore_index=-7, backend=backend)


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [
        *((b, d) for b in ("eager", "triton") for d in (torch.float16, torch.bfloat16)),
        *((b, d) for b in ("eager", "triton", "numba") for d in (torch.float32, torch.float64)),
    ],
    ids=str,
)
def test_results_are_never_half(harness: ModuleType, backend: str, dtype: torch.dtype) -> None:
    device = device_of(harness, backend)
    x = torch.zeros(2, 3, dtype=dtype, device=device, requires_grad=True)
    found = log_prob_from_logits(x, torch.zeros(2, dtype=torch.int64, device=device), backend=backend)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.autograd.grad(found.sum(), x)[0].dtype == dtype


INDEX = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("logits", "index", "backend", "error", "message"),
    [
        (torch.zeros(()), INDEX, "triton", ValueError, "logits are a scalar; they need at least one axis"),
        (
            torch.zeros(2, 0),
            INDEX,
            "triton",
            ValueError,
            "logits of shape (2, 0) have no classes; the last axis must not be empty",
        ),
        (
            torch.zeros(2, 3).long(),
            INDEX,
            "triton",
            TypeError,
            "logits must be float64, float32, float16 or bfloat16, not torch.int64",
        ),
        (torch.zeros(2, 3), INDEX.int(), "triton", TypeError, "index must be int64, not torch.int32"),
        (
            torch.zeros(2, 3),
            INDEX.expand(3, 2),
            "triton",
            ValueError,
            "index must be (2,) for logits (2, 3), not (3, 2)",
        ),
        (
            torch.zeros(2, 3, device="meta"),
            INDEX,
            "eager",
            ValueError,
            "index is on cpu, logits is on meta; move them to one device",
        ),
        (
            torch.zeros(3, 3, 3, 3, 3)[:2, :2, :2, :2],
            INDEX[0].expand(2, 2, 2, 2),
            "triton",
            ValueError,
            "4 leading axes of shape (2, 2, 2, 2) do not merge into 3; make the tensor contiguous",
        ),
        (
            torch.zeros(2, 3).half(),
            INDEX,
            "numba",
            TypeError,
            "the Numba backend needs float32 or float64 logits, not torch.float16",
        ),
        (
            torch.zeros(3, 2).T,
            INDEX,
            "numba",
            ValueError,
            "the Numba backend needs logits contiguous along the last axis, whose stride is 2",
        ),
        (
            torch.zeros(2, 3, device="meta"),
            INDEX.to("meta"),
            "numba",
            ValueError,
            "the Numba backend needs a tensor on the CPU, not one on meta",
        ),
    ],
)
def test_misuse(
    harness: ModuleType, logits: Tensor, index: Tensor, backend: str, error: type[Exception], message: str
) -> None:
    if backend == "triton":
        logits, index = logits.to(harness.DEVICE), index.to(harness.DEVICE)
    with pytest.raises(error) as caught:
        log_prob_from_logits(logits, index, backend=backend)
    assert str(caught.value) == f"log_prob_from_logits: {message}"


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, (1e-6, 1e-6)), (torch.float64, (1e-14, 1e-14))], ids=str
)
@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 129, 151, 256, 1134])
def test_numba_on_any_width(
    harness: ModuleType, width: int, dtype: torch.dtype, tolerance: tuple[float, float]
) -> None:
    """Use rows that are slices of wider ones, in three axes that do not merge."""
    generator = torch.Generator().manual_seed(0)
    memory = 4 * torch.randn(3, 5, 4, width + 3, dtype=dtype, generator=generator)
    x = memory[:2, 1:4, ::2, 2 : width + 2].transpose(0, 1).requires_grad_()
    index = torch.randint(width, (2, 3, 2), generator=generator).transpose(0, 1)
    dy = torch.randn(2, 2, 3, dtype=dtype, generator=generator).permute(2, 0, 1)
    found = log_prob_from_logits(x, index, backend="numba")
    exact = x.detach().double().requires_grad_()
    expected = log_prob_from_logits(exact, index, backend="eager")
    harness.close(found.detach(), expected.detach(), tolerance)
    harness.close(torch.autograd.grad(found, x, dy)[0], torch.autograd.grad(expected, exact, dy.double())[0], tolerance)


def test_numba_gives_the_same_bits_in_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from arbench.kernels.core import numba_rows

    x = torch.randn(7, 33, generator=torch.Generator().manual_seed(0)).requires_grad_()
    index = torch.arange(7)

    def results() -> list[Tensor]:
        y = log_prob_from_logits(x, index, backend="numba")
        return [y.detach(), *torch.autograd.grad(y.sum(), x)]

    alone = results()
    monkeypatch.setattr(numba_rows, "WORTH_A_THREAD", 1)
    for threads in (2, 3, 20):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert all(torch.equal(a, b) for a, b in zip(results(), alone, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_exponential(dtype: type[np.floating]) -> None:
    from numba import njit

    from arbench.kernels.core import numba_rows

    exp = numba_rows.exp

    @njit
    def each(x, y):
        for i in range(x.size):
            y[i] = exp(x[i])

    least = -87.0 if dtype == np.float32 else -708.0
    x = np.concatenate([np.linspace(least, 0, 100_001), np.linspace(-16, 0, 100_001)]).astype(dtype)
    found = np.empty_like(x)
    each(x, found)
    units = np.abs(found - np.exp(x.astype(np.longdouble))) / np.spacing(np.exp(x))
    assert units.max() < 5
    assert units[x > -16].max() < 1.5
    ends = np.array([0, -np.inf, 2 * least, -np.finfo(dtype).max, np.nan], dtype)
    found = np.empty_like(ends)
    each(ends, found)
    np.testing.assert_array_equal(found, [1, 0, 0, 0, np.nan])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 instructions")
def test_the_exponential_becomes_vector_instructions() -> None:
    from numba import jit

    from arbench.kernels.core import numba_rows

    code = jit(**{**numba_rows.sums.targetoptions, "cache": False})(numba_rows.sums.py_func)
    row, place = np.zeros(64, np.float32), np.zeros(1, np.int64)
    outs = [np.zeros(1, np.float32) for _ in range(3)]
    code(row, 64, place, place, *outs, 0, 1)
    (listing,) = code.inspect_asm().values()
    assert re.search(r"\bv?p?(mulps|fmadd\w*ps)\b[^\n]*[xyz]mm", listing)
    assert re.search(r"\bv?pmaxsd\b", listing)
    assert outs[1].item() == 64

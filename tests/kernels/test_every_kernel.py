"""Properties of every kernel: results and gradients are right for all strides and dtypes, and repeatable."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.kernels import KERNELS, Kernel

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
CASES = [
    pytest.param(name, config, id=f"{name}-{','.join(f'{k}={v}' for k, v in config.items())}")
    for name, kernel in KERNELS.items()
    for config in kernel.checks
]
CASES_BY_DTYPE = [
    pytest.param(*case.values, dtype, id=f"{case.id}-{str(dtype).removeprefix('torch.')}")
    for case in CASES
    for dtype in DTYPES
    if KERNELS[case.values[0]].defined(case.values[1], dtype)
    and ("triton" in KERNELS[case.values[0]].backends or dtype in (torch.float64, torch.float32))  # Numba has no others
]
FIRST = [pytest.param(name, kernel.checks[0], id=name) for name, kernel in KERNELS.items()]


@pytest.mark.parametrize(("name", "config", "dtype"), CASES_BY_DTYPE)
def test_agrees_with_the_reference(harness: ModuleType, name: str, config: dict[str, Any], dtype: torch.dtype) -> None:
    harness.compare(KERNELS[name], harness.make(KERNELS[name], dtype, **config))


@pytest.mark.parametrize(("name", "config"), CASES)
def test_strides_do_not_matter(harness: ModuleType, name: str, config: dict[str, Any]) -> None:
    kernel = KERNELS[name]
    last = (
        1 if harness.backend_of(kernel) == "numba" else None
    )  # of the last axis Numba says that it must be contiguous
    harness.compare(kernel, harness.scattered(harness.make(kernel, torch.float32, **config), last))


@pytest.mark.parametrize(("name", "config"), [c for c in CASES if KERNELS[c.values[0]].gradients])
def test_gradients_are_those_of_finite_differences(harness: ModuleType, name: str, config: dict[str, Any]) -> None:
    harness.gradients_by_difference(KERNELS[name], harness.make(KERNELS[name], torch.float64, **config))


@pytest.mark.parametrize(("name", "config"), FIRST)
def test_a_repeat_gives_the_same_bits(harness: ModuleType, name: str, config: dict[str, Any]) -> None:
    kernel = KERNELS[name]

    def results() -> list[Tensor]:
        inputs = harness.make(kernel, torch.float32, **config)
        leaves = [inputs[k].requires_grad_(True) for k in kernel.gradients if isinstance(inputs[k], Tensor)]
        out = harness.outputs(kernel.call(**inputs, backend=harness.backend_of(kernel)))
        grads = [o for o in out if o.requires_grad]
        return [*out, *(torch.autograd.grad(grads, leaves, [o.detach() for o in grads]) if leaves else ())]

    first = (harness.on_triton if "triton" in kernel.backends else harness.guarded)(results)
    for _ in range(20 if harness.DEVICE.type == "cuda" else 1):
        assert all(torch.equal(a, b) for a, b in zip(results(), first, strict=True))


@pytest.mark.parametrize("name", KERNELS)
def test_costs_are_positive_and_stated(harness: ModuleType, name: str) -> None:
    kernel = KERNELS[name]
    for op in kernel.ops:
        cost = kernel.cost(op, harness.make(kernel, torch.float32, **kernel.checks[0]))
        assert cost.bytes > 0
        assert kernel.formula[op].startswith("bytes = ")


@pytest.mark.parametrize("name", KERNELS)
def test_an_unknown_backend_is_refused(harness: ModuleType, name: str) -> None:
    kernel = KERNELS[name]
    with pytest.raises(ValueError, match=f"^{name} has no backend 'cuda'; available: {', '.join(kernel.backends)}$"):
        kernel.call(**harness.make(kernel, torch.float32, **kernel.checks[0]), backend="cuda")


ALL = [(kernel, backend) for kernel in KERNELS.values() for backend in kernel.backends]
ON_EACH = pytest.mark.parametrize(
    ("kernel", "backend"), ALL, ids=[f"{kernel.name}-{backend}" for kernel, backend in ALL]
)


def given(harness: ModuleType, kernel: Kernel, backend: str, dtype: torch.dtype) -> dict[str, Any]:
    """Return arguments that a backend takes: Numba draws from given noise alone."""
    if backend == "numba" and harness.DEVICE.type != "cpu":
        pytest.skip("tensors are on a GPU")
    configs = [config for config in kernel.checks if backend != "numba" or config.get("noise", "given") == "given"]
    if backend == "numba" and kernel.name == "sample_from_logits":
        configs = [config for config in kernel.checks if config.get("noise") == "given"]
    return harness.make(kernel, dtype, **configs[0])


@ON_EACH
@pytest.mark.parametrize("cast", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)], ids=str)
def test_autocast_changes_no_bit(harness: ModuleType, kernel: Kernel, backend: str, cast: torch.dtype) -> None:
    def call(dtype: torch.dtype) -> list[Tensor]:
        inputs = given(harness, kernel, backend, dtype)
        leaves = [inputs[k].requires_grad_(True) for k in kernel.gradients if isinstance(inputs.get(k), Tensor)]
        out = harness.outputs(kernel.call(**inputs, backend=backend))
        tops = [one for one in out if one.requires_grad]
        assert bool(leaves) == bool(tops)
        with torch.autocast(harness.DEVICE.type, enabled=False):
            grads = torch.autograd.grad(tops, leaves, [one.detach() for one in tops]) if leaves else ()
        return [*(one.detach() for one in out), *grads]

    for dtype in (torch.float32,) if backend == "numba" else (torch.float32, torch.float64):  # Numba compiles each
        plain = call(dtype)
        with torch.autocast(harness.DEVICE.type, dtype=cast):
            found = call(dtype)
        assert [one.dtype for one in found] == [one.dtype for one in plain]
        assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


@ON_EACH
def test_autocast_reaches_a_model_s_own_operations_again_after_a_call(
    harness: ModuleType, kernel: Kernel, backend: str
) -> None:
    inputs = given(harness, kernel, backend, torch.float32)
    a = torch.ones(2, 2, device=harness.DEVICE)
    with torch.autocast(harness.DEVICE.type, dtype=torch.bfloat16), torch.no_grad():
        kernel.call(**inputs, backend=backend)
        assert (a @ a).dtype == torch.bfloat16


@pytest.mark.parametrize("top", ["sum", "square"])
@pytest.mark.parametrize(
    ("kernel", "backend"),
    [pytest.param(k, backend, id=f"{k.name}-{backend}") for k, backend in ALL if k.gradients],
)
def test_a_derivative_of_second_order_is_right_or_refused(
    harness: ModuleType, kernel: Kernel, backend: str, top: str
) -> None:
    """Use a penalty on the gradient beside a loss: terms dropped from the sum would go unnoticed."""
    inputs = given(harness, kernel, backend, torch.float64)
    leaves = [inputs[k].requires_grad_(True) for k in kernel.gradients if isinstance(inputs.get(k), Tensor)]

    def second(one: Tensor) -> Any:
        out = harness.outputs(kernel.call(**inputs, backend=backend))
        loss = sum((y if top == "sum" else y.square()).sum() for y in out)
        (grad,) = torch.autograd.grad(loss, one, create_graph=True)
        return torch.autograd.grad(loss + grad.square().sum(), leaves, allow_unused=True)

    for leaf in leaves:
        if backend == "eager":
            assert all(one is None or one.isfinite().all() for one in second(leaf))
        else:
            with pytest.raises(
                RuntimeError, match=f"^{kernel.name}: its gradient is not differentiable; use backend='eager'"
            ):
                second(leaf)

"""Properties of every kernel: results and gradients are right for all strides and dtypes, and repeatable."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.kernels import KERNELS

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
CASES = [
    pytest.param(name, config, id=f"{name}-{','.join(f'{k}={v}' for k, v in config.items())}")
    for name, kernel in KERNELS.items()
    for config in kernel.checks
]
FIRST = [pytest.param(name, kernel.checks[0], id=name) for name, kernel in KERNELS.items()]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d).removeprefix("torch."))
@pytest.mark.parametrize(("name", "config"), CASES)
def test_agrees_with_the_reference(harness: ModuleType, name: str, config: dict[str, Any], dtype: torch.dtype) -> None:
    harness.compare(KERNELS[name], harness.make(KERNELS[name], dtype, **config))


@pytest.mark.parametrize(("name", "config"), CASES)
def test_strides_do_not_matter(harness: ModuleType, name: str, config: dict[str, Any]) -> None:
    harness.compare(KERNELS[name], harness.scattered(harness.make(KERNELS[name], torch.float32, **config)))


@pytest.mark.parametrize(("name", "config"), [c for c in CASES if KERNELS[c.values[0]].gradients])
def test_gradients_are_those_of_finite_differences(harness: ModuleType, name: str, config: dict[str, Any]) -> None:
    harness.gradients_by_difference(KERNELS[name], harness.make(KERNELS[name], torch.float64, **config))


@pytest.mark.parametrize(("name", "config"), FIRST)
def test_a_repeat_gives_the_same_bits(harness: ModuleType, name: str, config: dict[str, Any]) -> None:
    kernel = KERNELS[name]

    def results() -> list[Tensor]:
        inputs = harness.make(kernel, torch.float32, **config)
        leaves = [inputs[k].requires_grad_(True) for k in kernel.gradients if isinstance(inputs[k], Tensor)]
        out = harness.outputs(kernel.call(**inputs, backend="triton"))
        grads = [o for o in out if o.requires_grad]
        return [*out, *(torch.autograd.grad(grads, leaves, [o.detach() for o in grads]) if leaves else ())]

    first = harness.on_triton(results)
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
    with pytest.raises(ValueError, match=f"^{name} has no backend 'cuda'; available: eager, triton"):
        kernel.call(**harness.make(kernel, torch.float32, **kernel.checks[0]), backend="cuda")

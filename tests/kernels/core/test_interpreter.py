"""Triton's interpreter as the tests speed it up computes what it does as it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from triton.language import core

from arbench.kernels import KERNELS, Kernel
from arbench.kernels.core.launch import interpreted

TESTS = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not interpreted(), reason="the interpreter is off where there is a GPU")


@pytest.fixture(scope="session")
def interpreter(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(TESTS / "kernels" / "interpreter.py")


@pytest.mark.parametrize("kernel", [pytest.param(k, id=k.name) for k in KERNELS.values() if "triton" in k.backends])
def test_no_bit_differs(harness: ModuleType, interpreter: ModuleType, kernel: Kernel) -> None:
    def bits() -> list[Tensor]:
        inputs: dict[str, Any] = harness.make(kernel, torch.bfloat16, **kernel.checks[0])
        leaves = [inputs[k].requires_grad_(True) for k in kernel.gradients if isinstance(inputs[k], Tensor)]
        out = harness.outputs(harness.on_triton(lambda: kernel.call(**inputs, backend="triton")))
        tops = [one for one in out if one.requires_grad]
        return [*out, *(torch.autograd.grad(tops, leaves, [one.detach() for one in tops]) if leaves else ())]

    faster = bits()
    with interpreter.as_it_comes():
        slower = bits()
    assert [one.dtype for one in faster] == [one.dtype for one in slower]
    assert all(torch.equal(a, b) for a, b in zip(faster, slower, strict=True))


def test_everything_is_replaced_and_given_back(interpreter: ModuleType) -> None:
    def parts() -> list[Any]:
        return [getattr(owner, name) for owner, name, _, _ in interpreter.REPLACED]

    kind = core.block_type
    assert kind(core.float32, [4]) is kind(core.float32, [4])
    with interpreter.as_it_comes():
        assert kind(core.float32, [4]) is not kind(core.float32, [4])
    assert {name for _, name, _, _ in interpreter.REPLACED} >= {"broadcast_impl_value", "_unwrap_if_constexpr"}
    before = parts()
    with interpreter.as_it_comes():
        assert parts() == [original for _, _, original, _ in interpreter.REPLACED]
    assert parts() == before

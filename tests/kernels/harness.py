"""Checks of a kernel's programs against float64, in memory where every stray access shows.

Inputs are surrounded by poison (NaN, or integers far out of range). Outputs are in poisoned memory, which is
checked afterwards. Triton programs are checked, or for a kernel without them, the code that Numba compiles. A call that
should launch a Triton program and launches none fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arbench.kernels.core.launch import allocating, launched
from arbench.kernels.core.spec import Kernel

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
MARGIN = 64
"""Poisoned elements before and after."""


def _poison(dtype: torch.dtype) -> Any:
    return float("nan") if dtype.is_floating_point else (True if dtype == torch.bool else -(2**30) - 7)


def poisoned(x: Tensor, gap: int = 2, last: int | None = None) -> Tensor:
    """Return a copy of ``x`` with every axis strided over poison, the last by ``last``, and poison around it."""
    if x.dim() == 0 or x.numel() == 0:
        return x.clone()
    gaps = [gap] * (x.dim() - 1) + [gap if last is None else last]
    wide = [one * n + 1 for one, n in zip(gaps, x.shape, strict=True)]
    total = math.prod(wide)
    memory = torch.full((total + 2 * MARGIN,), _poison(x.dtype), dtype=x.dtype, device=x.device)
    view = memory[MARGIN : MARGIN + total].view(wide)[tuple(slice(1, None, one) for one in gaps)]
    view.copy_(x)
    return view.detach()


class Guard:
    """Allocator that puts poison into and around its memory, and checks later that the poison around is intact."""

    def __init__(self) -> None:
        self.given: list[tuple[Tensor, int]] = []

    def __call__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        n = math.prod(shape)
        memory = torch.full((n + 2 * MARGIN,), _poison(dtype), dtype=dtype, device=device)
        self.given.append((memory, n))
        return memory[MARGIN : MARGIN + n].view(tuple(shape))

    def check(self) -> None:
        """Raise AssertionError if a program wrote outside of an output."""
        for memory, n in self.given:
            around = torch.cat([memory[:MARGIN], memory[MARGIN + n :]])
            clean = around.isnan() if memory.dtype.is_floating_point else around == _poison(memory.dtype)
            assert bool(clean.all()), "a program wrote outside of an output"


def on_triton(call: Callable[[], Any]) -> Any:
    """Return the result of ``call`` with its outputs in guarded memory; fail unless it launches Triton programs."""
    before = launched.total()
    result = guarded(call)
    assert launched.total() > before, "no Triton program was launched"
    return result


def guarded(call: Callable[[], Any]) -> Any:
    """Return the result of ``call`` with its outputs in guarded memory."""
    guard = Guard()
    with allocating(guard):
        result = call()
    assert guard.given, "no output was allocated by core.launch.empty"
    guard.check()
    return result


def backend_of(kernel: Kernel) -> str:
    """Return the backend whose results are checked."""
    return "triton" if "triton" in kernel.backends else "numba"


def called(kernel: Kernel, inputs: dict[str, Any]) -> Any:
    """Return the result of the backend that is checked, with its outputs in guarded memory."""
    backend = backend_of(kernel)
    return (on_triton if backend == "triton" else guarded)(lambda: kernel.call(**inputs, backend=backend))


def outputs(result: Any) -> list[Tensor]:
    """Return the results of a call as a list, without those that are None."""
    several = result if isinstance(result, tuple | list) else (result,)
    return [one for one in several if one is not None]


def make(kernel: Kernel, dtype: torch.dtype, seed: int = 0, **config: Any) -> dict[str, Any]:
    """Return random arguments of a call."""
    generator = torch.Generator().manual_seed(seed)
    return kernel.inputs(dtype=dtype, device=DEVICE, generator=generator, **config)


def widened(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the same arguments with floating-point tensors in float64."""
    return {k: v.double().clone() if isinstance(v, Tensor) and v.is_floating_point() else v for k, v in inputs.items()}


def scattered(inputs: dict[str, Any], last: int | None = None) -> dict[str, Any]:
    """Return the same arguments with every tensor strided over poison, along its last axis by ``last``."""
    return {k: poisoned(v, last=last) if isinstance(v, Tensor) else v for k, v in inputs.items()}


def close(found: Tensor, expected: Tensor, tolerance: tuple[float, float]) -> None:
    """Raise AssertionError unless ``found`` is within (rtol, atol) of the float64 ``expected``.

    NaN matches NaN; infinities must agree.
    """
    rtol, atol = tolerance
    if not found.is_floating_point():
        assert torch.equal(found, expected)
        return
    torch.testing.assert_close(found.double(), expected.double(), rtol=rtol, atol=atol, equal_nan=True)


def compare(kernel: Kernel, inputs: dict[str, Any]) -> None:
    """Compare one call and its gradients with the float64 reference on the same rounded numbers."""
    dtype = next(v.dtype for v in inputs.values() if isinstance(v, Tensor) and v.is_floating_point())
    exact = widened(inputs)
    leaves = [k for k in kernel.gradients if isinstance(inputs.get(k), Tensor)]
    inputs = dict(inputs)
    for k in leaves:
        inputs[k] = inputs[k].detach().requires_grad_(True)
        exact[k] = exact[k].detach().requires_grad_(True)
    found = outputs(called(kernel, inputs))
    expected = outputs(kernel.call(**exact, backend="eager"))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        close(a.detach(), b.detach(), kernel.tolerance[dtype])
    if not leaves:
        return
    generator = torch.Generator().manual_seed(1)
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b.requires_grad]
    assert all(a.requires_grad for a, _ in pairs)
    downstream = [
        poisoned(torch.randn(b.shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)) for _, b in pairs
    ]
    if not any(a.numel() for a, _ in pairs):
        return
    mine = on_triton(lambda: torch.autograd.grad([a for a, _ in pairs], [inputs[k] for k in leaves], downstream))
    theirs = torch.autograd.grad([b for _, b in pairs], [exact[k] for k in leaves], [g.double() for g in downstream])
    for a, b in zip(mine, theirs, strict=True):
        close(a, b, (kernel.gradient_tolerance or kernel.tolerance)[dtype])


def gradients_by_difference(kernel: Kernel, inputs: dict[str, Any]) -> None:
    """Raise unless the float64 gradients of the Triton kernel equal finite differences, of each output alone.

    All inputs move at once in a random direction, and an output is weighted at random: a wrong element of any gradient
    changes the derivative.
    """
    leaves = [k for k in kernel.gradients if isinstance(inputs.get(k), Tensor)]
    values, generator = [inputs[k].detach() for k in leaves], torch.Generator().manual_seed(2)

    def drawn(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)

    def call(given: list[Tensor]) -> list[Tensor]:
        moved = {**inputs, **dict(zip(leaves, given, strict=True))}
        return [one for one in outputs(kernel.call(**moved, backend="triton")) if one.is_floating_point()]

    step, direction, moving = 1e-6, [drawn(x) for x in values], [x.clone().requires_grad_(True) for x in values]
    found, after, before = (
        on_triton(lambda given=given: call(given))
        for given in (moving, *([x + s * d for x, d in zip(values, direction, strict=True)] for s in (step, -step)))
    )
    weights = [drawn(one) for one in found]

    def derivatives(outputs: int | None = None) -> list[Tensor]:
        settings = dict(retain_graph=True, allow_unused=True)
        of_each = [
            torch.autograd.grad(one, moving, weight, **settings)
            for one, weight in list(zip(found, weights, strict=True))[:outputs]
        ]
        return [sum((g * d).sum() for g, d in zip(grads, direction, strict=True) if g is not None) for grads in of_each]

    kept = [one.detach().clone() for one in (*moving, *found)]
    first = on_triton(derivatives)
    assert torch.equal(first[0], on_triton(lambda: derivatives(1))[0]), "a later backward pass gives other gradients"
    assert all(map(torch.equal, kept, (*moving, *found))), "the backward pass changes inputs or outputs"
    for one, a, b, weight in zip(first, after, before, weights, strict=True):
        expected = ((a - b) * weight).sum() / (2 * step)
        close(one, expected, (1e-6, 1e-6))

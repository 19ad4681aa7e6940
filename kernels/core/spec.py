"""What every kernel states of itself: how it is called, on what, what it must move, its variants."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from arbench.backends import current
from arbench.kernels.core.launch import runs_on

Op = Literal["forward", "backward"]
Config = Mapping[str, Any]
Inputs = dict[str, Any]


LOG_PROBS = {
    torch.float64: (1e-10, 1e-10),
    torch.float32: (1e-5, 1e-5),
    torch.float16: (3e-3, 5e-3),
    torch.bfloat16: (1e-2, 5e-2),
}
"""Tolerances of softmax and of log-probabilities."""
CONVOLUTIONS = {**LOG_PROBS, torch.float32: (3e-4, 1e-3)}
"""Tolerances of convolutions."""


@dataclass(frozen=True)
class Cost:
    """What one call must do at least, whatever implements it."""

    bytes: int
    """Each input read once, each output written once, nothing in between stored."""
    flops: int
    """Floating-point operations; a multiply-add is two, an exponential one."""


@dataclass(frozen=True)
class Kernel:
    """One kernel, as tests, compilers and benchmarks see it.

    Args:
        name: of the public function.
        summary: a line for the user.
        call: the public function; takes the inputs by keyword, and ``backend``.
        inputs: ``inputs(dtype=, device=, generator=, **config)`` makes the arguments of a call. On the
            ``meta`` device no values are made.
        cost: ``cost(op, inputs)`` of a call.
        formula: the cost in words, by op.
        matrix: configurations whose programs are compiled ahead of time: every variant there is.
        checks: small configurations that the interpreter runs in a second.
        sizes: configurations worth timing, by kind of device.
        dims: ``(rows, n)`` of a configuration: how many independent rows, and the length they have.
        element: what ``n`` counts.
        gradients: inputs that have a gradient.
        backends: of ``BACKENDS``, those it has.
        tolerance: (rtol, atol) by dtype, of every floating-point output against a float64 reference.
        gradient_tolerance: the same, of gradients.
        near_ties: ``near_ties(inputs, dtype)``, of float64 inputs: over the leading axes of every output,
            where a decision hangs on less than ``dtype`` can tell, so that both answers are right.
        vectorised: ``vectorised(program, config)``: whether the layout lets that program load 128 bits at
            a time.
    """

    name: str
    summary: str
    call: Callable[..., Any]
    inputs: Callable[..., Inputs]
    cost: Callable[[Op, Inputs], Cost]
    formula: Mapping[Op, str]
    matrix: Sequence[Config]
    checks: Sequence[Config]
    sizes: Mapping[str, Sequence[Config]]
    dims: Callable[[Config], tuple[int, int]]
    element: str
    gradients: Sequence[str] = ()
    backends: Sequence[str] = ("eager", "triton")
    tolerance: Mapping[torch.dtype, tuple[float, float]] = field(default_factory=LOG_PROBS.copy)
    gradient_tolerance: Mapping[torch.dtype, tuple[float, float]] | None = None
    near_ties: Callable[[Inputs, torch.dtype], Tensor] | None = None
    vectorised: Callable[[str, Config], bool] = lambda program, config: False

    @property
    def ops(self) -> tuple[Op, ...]:
        return ("forward", "backward") if self.gradients else ("forward",)


def choose(name: str, backend: str | None, x: Tensor, have: Sequence[str] = ("eager", "triton")) -> str:
    """Which backend a call runs on: as asked, or Triton on a GPU and the reference elsewhere.

    Raises:
        ValueError: the kernel has no such backend, or it does not run on the tensor's device.
    """
    if backend is None:
        return "triton" if runs_on(x.device) and x.device.type != "cpu" else "eager"
    backend = current(backend)
    if backend not in have:
        raise ValueError(f"{name} has no backend '{backend}'; it has: {', '.join(have)}")
    if backend == "triton" and not runs_on(x.device):
        raise ValueError(f"{name}: the Triton kernel needs a CUDA tensor, not one on {x.device}")
    if backend == "numba" and x.device.type != "cpu":
        raise ValueError(f"{name}: the Numba path needs a tensor on the CPU, not one on {x.device}")
    return backend


def floating(name: str, **tensors: Tensor | None) -> None:
    """Demands that tensors are tensors, and hold floating-point numbers of one dtype, on one device.

    Raises:
        TypeError: one is not, or does not.
        ValueError: devices differ.
    """
    given = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    for key, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: {key} must be a tensor, not {type(tensor).__name__}")
        if tensor.dtype not in LOG_PROBS:
            raise TypeError(f"{name}: {key} must be float64, float32, float16 or bfloat16, not {tensor.dtype}")
    (first, x), *rest = given.items()
    for key, tensor in rest:
        if tensor.dtype != x.dtype:
            raise TypeError(f"{name}: {key} is {tensor.dtype}, {first} {x.dtype}; they must be alike")
    same_device(name, **given)


def integer(name: str, key: str, value: Any) -> int:
    """A number as a plain integer, whatever integer it is: programs take no others. Raises TypeError."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {key} must be an integer, not {value!r}") from None


def same_device(name: str, **tensors: Tensor | None) -> None:
    """Demands that tensors lie on one device. Raises ValueError."""
    given = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    (first, x), *rest = given.items()
    for key, tensor in rest:
        if tensor.device != x.device:
            raise ValueError(f"{name}: {key} is on {tensor.device}, {first} on {x.device}")


def normal(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device | str, generator: torch.Generator | None
) -> Tensor:
    """Standard normal numbers, made where the generator is; empty on ``meta``.

    One on the host gives every device the same numbers.
    """
    if torch.device(device).type == "meta":
        return torch.empty(shape, dtype=dtype, device=device)
    where = "cpu" if generator is None else generator.device
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=where).to(device, dtype)

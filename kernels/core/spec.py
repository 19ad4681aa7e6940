"""Specification of a kernel: its function, inputs, cost, variants and tolerances, and checks of arguments."""

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
    """Least work of one call, whatever implements it."""

    bytes: int
    """Bytes moved if each input is read once, each output written once, and no intermediate is stored."""
    flops: int
    """Floating-point operations; a multiply-add counts as two, an exponential as one."""


@dataclass(frozen=True)
class Kernel:
    """One kernel, as tests, compilers and benchmarks see it.

    Attributes:
        name: name of the public function.
        summary: one line for the user.
        call: the public function; takes the inputs by keyword, and ``backend``.
        inputs: ``inputs(dtype=, device=, generator=, **config)`` makes the arguments of a call, without
            values on the ``meta`` device.
        cost: ``cost(op, inputs)`` returns the cost of a call.
        formula: formula of the cost, by op.
        matrix: configurations that reach every variant of every program, compiled ahead of time.
        checks: small configurations that the interpreter runs in a second.
        sizes: configurations worth timing, by kind of device.
        dims: ``dims(config)`` returns the number of independent rows and their length n.
        element: name of what n counts.
        gradients: inputs that have a gradient.
        backends: implemented backends, from ``arbench.backends.BACKENDS``.
        tolerance: (rtol, atol) of every floating-point output against the float64 reference, by dtype.
        gradient_tolerance: (rtol, atol) of gradients, by dtype; None for ``tolerance``.
        near_ties: ``near_ties(inputs, dtype)`` takes float64 inputs and marks, over the leading axes of every
            output, decisions closer than ``dtype`` can resolve, where both answers are right.
        defined: ``defined(config, dtype)`` tells whether the kernel has a configuration in a dtype.
        vectorised: ``vectorised(program, config)`` tells whether the layout lets a program load 128 bits at a
            time.
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
    defined: Callable[[Config, torch.dtype], bool] = lambda config, dtype: True
    vectorised: Callable[[str, Config], bool] = lambda program, config: False

    @property
    def ops(self) -> tuple[Op, ...]:
        """The operations of the kernel: backward only if it has gradients."""
        return ("forward", "backward") if self.gradients else ("forward",)


def choose(name: str, backend: str | None, x: Tensor, have: Sequence[str] = ("eager", "triton")) -> str:
    """Return the backend of a call.

    Args:
        name: name of the kernel, for the message of an error.
        backend: the requested backend; None selects Triton on a GPU, if the kernel has it, else plain PyTorch.
        x: a tensor on the device of the call.
        have: backends that the kernel has.

    Raises:
        ValueError: the kernel has no such backend, or it does not run on the tensor's device.
    """
    if backend is None:
        return "triton" if "triton" in have and runs_on(x.device) and x.device.type != "cpu" else "eager"
    backend = current(backend)
    if backend not in have:
        raise ValueError(f"{name} has no backend '{backend}'; available: {', '.join(have)}")
    if backend == "triton" and not runs_on(x.device):
        raise ValueError(f"{name}: the Triton kernel needs a CUDA tensor, not one on {x.device}")
    if backend == "numba" and x.device.type != "cpu":
        raise ValueError(f"{name}: the Numba backend needs a tensor on the CPU, not one on {x.device}")
    return backend


def floating(name: str, **tensors: Tensor | None) -> None:
    """Check that arguments are floating-point tensors of one dtype on one device; None is allowed.

    Raises:
        TypeError: one is not a tensor or not floating-point, or dtypes differ.
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
            raise TypeError(f"{name}: {key} is {tensor.dtype}, {first} is {x.dtype}; convert them to one dtype")
    same_device(name, **given)


def with_noise(name: str, noise: Tensor | None, **of: Tensor) -> None:
    """Check a tensor as ``floating`` does, and its noise: of the same dtype, or float32 for half precision."""
    ((key, x),) = of.items()
    floating(name, **of)
    half = isinstance(x, Tensor) and x.dtype in (torch.float16, torch.bfloat16)
    if half and isinstance(noise, Tensor) and noise.dtype == torch.float32:
        same_device(name, **of, noise=noise)
    else:
        floating(name, **{key: x, "noise": noise})


def integer(name: str, key: str, value: Any) -> int:
    """Return any kind of integer as an int, which programs need. Raises TypeError for another number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {key} must be an integer, not {value!r}") from None


def same_device(name: str, **tensors: Tensor | None) -> None:
    """Check that tensors are on one device; None is allowed. Raises ValueError."""
    given = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    (first, x), *rest = given.items()
    for key, tensor in rest:
        if tensor.device != x.device:
            raise ValueError(f"{name}: {key} is on {tensor.device}, {first} is on {x.device}; move them to one device")


def normal(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device | str, generator: torch.Generator | None
) -> Tensor:
    """Return standard normal numbers, made on the generator's device; without values on ``meta``.

    A generator on the host gives every device the same numbers.
    """
    if torch.device(device).type == "meta":
        return torch.empty(shape, dtype=dtype, device=device)
    where = "cpu" if generator is None else generator.device
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=where).to(device, dtype)

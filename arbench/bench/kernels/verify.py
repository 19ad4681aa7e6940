"""Verification of kernels: every output or gradient against the float64 reference on the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.kernels.calls import Function, Inputs, backward, copied, leaves_of, outputs
from arbench.bench.kernels.plan import TORCH
from arbench.kernels import Kernel
from arbench.kernels.core.spec import normal

BASELINE = 100.0
"""Factor on the kernel's tolerance for PyTorch's plain formulas: they are the reference of speed-ups, not a product,
and have larger rounding errors than a kernel may have. Their row states their difference."""
AS_A_WHOLE = {torch.float64: 1e-9, torch.float32: 1e-2, torch.float16: 2e-2, torch.bfloat16: 0.125}
"""Largest norm of the difference from float64, relative to the norm of the result. A tolerance per element that passes
a large element passes every small one, and softmax over many classes has only small ones."""


@dataclass(frozen=True)
class Expected:
    """Results in float64, by name: outputs or gradients, then every input as the call leaves it."""

    results: dict[str, Tensor]
    inputs: dict[str, Tensor]
    excused: Tensor | None
    """Rows where both of two answers are right; None if there are no ties."""


def downstream(dtype: torch.dtype, seed: int = 1) -> Callable[[int, Tensor], Tensor]:
    """Return a function that makes random gradients of outputs, rounded to ``dtype`` whatever the output's own."""

    def make(number: int, output: Tensor) -> Tensor:
        generator = torch.Generator(output.device).manual_seed(seed + number)
        return normal(output.shape, dtype, output.device, generator).to(output.dtype)

    return make


def expected(kernel: Kernel, op: str, inputs: Inputs) -> Expected:
    """Return the results of the reference in float64, for inputs of any dtype."""
    dtype = _dtype_of(inputs)
    exact = as_float64(copied(inputs))

    def reference(given: Inputs) -> Any:
        return kernel.call(**given, backend="eager")

    excused = kernel.near_ties(exact, dtype) if kernel.near_ties and op == "forward" else None
    return Expected(_results(kernel, op, reference, exact, dtype), _tensors(exact), excused)


def verify_kernel(
    kernel: Kernel, case: CaseKey, function: Function, inputs: Inputs, against: Expected, dtype: torch.dtype
) -> dict[str, Any]:
    """Compare one call of an implementation with the float64 results.

    Args:
        kernel: the kernel.
        case: names op and method.
        function: the implementation.
        inputs: arguments of the call, which are copied.
        against: the float64 results.
        dtype: dtype of the call.

    Returns:
        Facts for the results file: ``how``, ``largest_difference``, ``tolerance``, ``excused_ties``, ...

    Raises:
        InexactError: a result is wrong; names the first element that differs.
    """
    given = copied(inputs)
    facts = judge(kernel, case, _results(kernel, case.op, function, given, dtype), against, dtype)
    judge_inputs(given, against, facts)
    return facts


def judge_inputs(inputs: Inputs, against: Expected, facts: dict[str, Any]) -> None:
    """Compare the inputs of a call, as it left them, with the float64 ones.

    Args:
        inputs: the inputs after the call.
        against: the float64 results.
        facts: what ``judge`` returned of the results; its largest difference is updated.

    Raises:
        InexactError: an input is wrong.
    """
    rtol, atol = facts["relative_tolerance"], facts["tolerance"]
    for name, exact in against.inputs.items():
        difference, _ = _compare(f"input {name} after the call", inputs[name], exact, (rtol, atol), None)
        facts["largest_difference"] = max(facts["largest_difference"], difference)


def named(kernel: Kernel, op: str, inputs: Inputs, result: Any) -> dict[str, Tensor]:
    """Return what a call returned by name: its outputs, or the gradients of its inputs."""
    if op == "forward":
        found = outputs(result)
        return {f"output {i}" if len(found) > 1 else "the output": one for i, one in enumerate(found)}
    return {f"the gradient of {k}": g for k, g in zip(leaves_of(kernel, inputs), result, strict=True)}


def changes_inputs(inputs: Inputs, against: Expected) -> bool:
    """Return whether a call leaves its inputs changed, so that a second call on them does something else."""
    return any(
        not torch.allclose(as_float64(inputs[name]).double(), after.double(), 0, 0, equal_nan=True)
        for name, after in against.inputs.items()
    )


def judge(
    kernel: Kernel, case: CaseKey, found: dict[str, Tensor], against: Expected, dtype: torch.dtype
) -> dict[str, Any]:
    """Compare the results of a call with the float64 results.

    Args:
        kernel: the kernel.
        case: names op and method.
        found: the results, by name.
        against: the float64 results.
        dtype: dtype of the call.

    Returns:
        Facts for the results file.

    Raises:
        InexactError: a result is wrong; names the first element that differs.
    """
    if found.keys() != against.results.keys():
        raise InexactError(f"returns {', '.join(found)}; the reference returns {', '.join(against.results)}")
    tolerances = kernel.tolerance if case.op == "forward" else kernel.gradient_tolerance or kernel.tolerance
    slack = BASELINE if case.method == TORCH else 1.0
    tolerance = slack * tolerances[dtype][0], slack * tolerances[dtype][1]
    largest, excused = 0.0, 0
    excused_rows = _other_decisions(found, against)
    for name, exact in against.results.items():
        difference, ties = _compare(name, found[name], exact, tolerance, excused_rows)
        _compare_norms(name, found[name], exact, dtype, excused_rows)
        largest, excused = max(largest, difference), max(excused, ties)
    facts: dict[str, Any] = {
        "how": "every output against the float64 reference"
        if case.op == "forward"
        else "every gradient against the float64 reference",
        "elements": sum(one.numel() for one in found.values()),
        "largest_difference": largest,
        "tolerance": tolerance[1],
        "relative_tolerance": tolerance[0],
    }
    if against.excused is not None:
        facts |= {"near_ties": int(against.excused.sum()), "excused_ties": excused}
    return facts


def _results(kernel: Kernel, op: str, function: Function, inputs: Inputs, dtype: torch.dtype) -> dict[str, Tensor]:
    call = partial(function, inputs) if op == "forward" else backward(kernel, function, inputs, downstream(dtype))
    return named(kernel, op, inputs, call())


def _other_decisions(found: dict[str, Tensor], against: Expected) -> Tensor | None:
    """Return the near ties that are decided differently from float64: only these rows are excused.

    Raises:
        InexactError: there are more than chance allows: half of the near ties plus four standard deviations.
    """
    near = against.excused
    decided = {name: exact for name, exact in against.results.items() if not exact.is_floating_point()}
    if near is None or not decided:
        return near
    otherwise = torch.zeros_like(near)
    for name, exact in decided.items():
        if found[name].shape == exact.shape:
            otherwise |= (found[name] != exact).reshape(*near.shape, -1).any(-1)
    taken = otherwise & near
    ties, count = int(near.sum()), int(taken.sum())
    if count > ties / 2 + 2 * math.sqrt(ties):
        raise InexactError(f"{count} of {ties} near ties are decided differently from float64")
    return taken


def _compare_norms(name: str, found: Tensor, exact: Tensor, dtype: torch.dtype, excused: Tensor | None) -> None:
    """Compare the norm of the difference with the norm of the result. Raises InexactError."""
    if not exact.is_floating_point():
        return
    a, b = found.detach().double(), exact.detach()
    left_out = ~b.isfinite() if excused is None else ~b.isfinite() | _over(excused, b)
    off = float(torch.where(left_out, 0.0, a - b).norm())
    size = float(torch.where(left_out, 0.0, b).norm())
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    allowed = AS_A_WHOLE[dtype] * size + 8 * torch.finfo(computed).eps * math.sqrt(b.numel())
    if not off <= allowed:
        raise InexactError(
            f"{name} as a whole differs from float64 by a norm of {off:.3g}, allowed {allowed:.3g}; "
            f"float64's own norm is {size:.3g}"
        )


def _compare(
    name: str, found: Tensor, exact: Tensor, tolerance: tuple[float, float], excused: Tensor | None
) -> tuple[float, int]:
    """Return the largest difference, and the number of elements that differ with an excuse. Raises InexactError."""
    if found.shape != exact.shape:
        raise InexactError(f"{name} has shape {tuple(found.shape)}, expected {tuple(exact.shape)}")
    if found.is_floating_point() != exact.is_floating_point():
        raise InexactError(f"{name} is {found.dtype}, expected {exact.dtype}")
    a, b = found.detach(), exact.detach()
    if not exact.is_floating_point():
        wrong = a != b
        difference = 0.0
    else:
        a = a.double()
        same = (a == b) | (a.isnan() & b.isnan())
        apart = torch.where(same, 0.0, (a - b).abs())
        rtol, atol = tolerance
        wrong = ~(same | ((apart <= atol + rtol * b.abs()) & b.isfinite()))
        difference = float(apart.nan_to_num(torch.inf).max()) if apart.numel() else 0.0
    near = wrong.new_zeros(()) if excused is None else _over(excused, wrong)
    bad = wrong & ~near
    if bad.any():
        at = [int(i) for i in bad.nonzero()[0]]
        where = tuple(at)
        raise InexactError(
            f"{name} at {at} is {a[where].item():.7g}, the float64 reference {b[where].item():.7g}",
            first_difference=at,
            differing=int(bad.sum()),
        )
    ties = int(wrong.sum())
    if ties and exact.is_floating_point():
        difference = float(torch.where(near, 0.0, apart).max())
    return difference, ties


def _over(rows: Tensor, wrong: Tensor) -> Tensor:
    """Expand a mask over leading axes to all axes."""
    return rows.view(*rows.shape, *(1 for _ in range(wrong.dim() - rows.dim()))).expand(wrong.shape)


def _dtype_of(inputs: Inputs) -> torch.dtype:
    return next(v.dtype for v in inputs.values() if isinstance(v, Tensor) and v.is_floating_point())


def _tensors(inputs: Inputs) -> dict[str, Tensor]:
    return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}

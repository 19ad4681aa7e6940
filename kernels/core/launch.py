"""Launcher of all Triton programs, which counts each launch, or records it instead of running it.

Counts let a test check that a program ran. Records give a compiler exactly the programs that a call would
launch, from tensors on the ``meta`` device and without a GPU.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

Allocator = Callable[[Sequence[int], torch.dtype, torch.device], Tensor]


@dataclass(frozen=True)
class Launch:
    """One program that a call would launch, with what a compiler needs to know."""

    fn: Any
    """The ``triton.jit`` function."""
    grid: tuple[int, ...]
    args: dict[str, Any]
    """Tensors and numbers that are not compile-time constants, by parameter name."""
    constants: dict[str, Any]
    num_warps: int
    num_stages: int


launched: Counter[str] = Counter()
"""Number of launches of each program in this process, by its name."""
_records: list[Launch] | None = None


def interpreted() -> bool:
    """Return whether Triton's interpreter runs the programs, on the CPU.

    It does if ``TRITON_INTERPRET`` was 1 when Triton was imported: its own functions are bound then, for good.
    """
    return os.environ.get("TRITON_INTERPRET") == "1" and not isinstance(tl.sum, triton.JITFunction)


def runs_on(device: torch.device) -> bool:
    """Return whether Triton programs can be launched on a device in this process."""
    return device.type == "cuda" or (device.type == "cpu" and interpreted()) or _records is not None


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """Record launches instead of running them; for calls with tensors on the ``meta`` device."""
    global _records
    before, _records = _records, []
    try:
        yield _records
    finally:
        _records = before


def launch(
    fn: Any, grid: tuple[int, ...], *args: Any, num_warps: int = 4, num_stages: int = 2, **constants: Any
) -> None:
    """Launch ``fn[grid](*args, **constants)`` on the device of its tensors; an empty grid launches nothing.

    Args:
        fn: a ``triton.jit`` function.
        grid: programs along each of up to three axes.
        args: all parameters that are not compile-time constants, in order.
        num_warps: warps of a program; a GPU with wider warps gets fewer.
        num_stages: stages of software pipelining.
        constants: the ``tl.constexpr`` parameters.
    """
    if 0 in grid:
        return
    if _records is not None:
        named = dict(zip([name for name in fn.arg_names if name not in constants], args, strict=True))
        _records.append(Launch(fn, grid, named, constants, num_warps, num_stages))
        return
    launched[fn.__name__] += 1
    device = next(arg.device for arg in args if isinstance(arg, Tensor))
    if device.type != "cuda":  # the interpreter computes with NumPy, which warns about each infinity
        with np.errstate(all="ignore"):
            fn[grid](*args, **constants)
        return
    warps = min(num_warps, most_warps(64 if torch.version.hip else 32))
    with torch.cuda.device(device):
        fn[grid](*args, **constants, num_warps=warps, num_stages=num_stages, enable_fp_fusion=True)


def most_warps(width: int) -> int:
    """Return the largest number of warps of ``width`` threads in a program."""
    return 1024 // width


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return uninitialised memory for a program to fill."""
    return _allocate(shape, dtype, device)


def empty_like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return uninitialised memory of ``x``'s shape, dense, with axes in the order of ``x``'s strides."""
    strides = x.stride()
    order = sorted(range(x.dim()), key=lambda d: (-strides[d], d))
    inverse = sorted(range(x.dim()), key=order.__getitem__)
    made = empty([x.shape[d] for d in order], dtype or x.dtype, x.device)
    return made.permute(inverse)


def _uninitialised(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


_allocate: Allocator = _uninitialised


@contextmanager
def allocating(allocator: Allocator) -> Iterator[None]:
    """Let ``empty`` take its memory from ``allocator``; tests use one that surrounds it with poison."""
    global _allocate
    before, _allocate = _allocate, allocator
    try:
        yield
    finally:
        _allocate = before

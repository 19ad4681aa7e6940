"""The one place where Triton programs are launched: each launch is counted, or recorded instead of run.

Counting lets a test tell that a program ran where one is claimed. Recording lets a compiler see exactly the
programs that a call would launch, from tensors on the ``meta`` device and without a GPU.
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
from torch import Tensor

Allocator = Callable[[Sequence[int], torch.dtype, torch.device], Tensor]


@dataclass(frozen=True)
class Launch:
    """One program that a call would launch: what a compiler needs of it."""

    fn: Any
    """The ``triton.jit`` function."""
    grid: tuple[int, ...]
    args: dict[str, Any]
    """Tensors and numbers that are not compile-time constants, by parameter."""
    constants: dict[str, Any]
    num_warps: int
    num_stages: int


launched: Counter[str] = Counter()
"""How many times each program was launched in this process, by its name."""
_records: list[Launch] | None = None


def interpreted() -> bool:
    """Whether Triton's interpreter runs the programs, on the CPU (``TRITON_INTERPRET=1``)."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def runs_on(device: torch.device) -> bool:
    """Whether Triton programs can be launched on a device, here and now."""
    return device.type == "cuda" or (device.type == "cpu" and interpreted()) or _records is not None


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """Inside, launches are noted and not run; give tensors on the ``meta`` device."""
    global _records
    before, _records = _records, []
    try:
        yield _records
    finally:
        _records = before


def launch(
    fn: Any, grid: tuple[int, ...], *args: Any, num_warps: int = 4, num_stages: int = 2, **constants: Any
) -> None:
    """Launches ``fn[grid](*args, **constants)`` on the device of its tensors; an empty grid launches nothing.

    Args:
        fn: a ``triton.jit`` function.
        grid: programs along each of up to three axes.
        args: its parameters that are not compile-time constants, in order, all of them.
        constants: its ``tl.constexpr`` parameters.
    """
    if 0 in grid:
        return
    if _records is not None:
        named = dict(zip([name for name in fn.arg_names if name not in constants], args, strict=True))
        _records.append(Launch(fn, grid, named, constants, num_warps, num_stages))
        return
    launched[fn.__name__] += 1
    device = next(arg.device for arg in args if isinstance(arg, Tensor))
    if device.type != "cuda":  # NumPy does the interpreter's arithmetic, and warns of each infinity
        with np.errstate(all="ignore"):
            fn[grid](*args, **constants)
        return
    warps = min(num_warps, most_warps(64 if torch.version.hip else 32))
    with torch.cuda.device(device):
        fn[grid](*args, **constants, num_warps=warps, num_stages=num_stages, enable_fp_fusion=True)


def most_warps(width: int) -> int:
    """How many warps of ``width`` threads a program may have."""
    return 1024 // width


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised memory for a program to fill; what stood there before is undefined."""
    return _allocate(shape, dtype, device)


def empty_like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Uninitialised memory of ``x``'s shape, and of its order of strides where ``x`` has no gaps."""
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
    """Inside, ``empty`` takes its memory from ``allocator``: tests give some with poison around it."""
    global _allocate
    before, _allocate = _allocate, allocator
    try:
        yield
    finally:
        _allocate = before

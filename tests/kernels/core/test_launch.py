"""Launches are counted, or recorded instead of run; memory comes from the current allocator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import triton
import triton.language as tl

from arbench.kernels.core.launch import allocating, empty_like, launch, launched, recording, runs_on

ROOT = Path(__file__).parents[3]


@triton.jit
def add_one(x, n, BLOCK: tl.constexpr):
    o = tl.arange(0, BLOCK)
    tl.store(x + o, tl.load(x + o, mask=o < n) + 1, mask=o < n)


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def test_a_launch_runs_and_is_counted() -> None:
    x = torch.zeros(4, device=device())
    before = launched["add_one"]
    launch(add_one, (1,), x, 3, BLOCK=4)
    assert launched["add_one"] == before + 1
    assert x.tolist() == [1, 1, 1, 0]


def test_an_empty_grid_launches_nothing() -> None:
    before = launched.total()
    launch(add_one, (2, 0), torch.zeros(4), 3, BLOCK=4)
    assert launched.total() == before


LATE = """
import os, triton, torch
os.environ["TRITON_INTERPRET"] = "1"
from arbench.kernels import softmax
from arbench.kernels.core.launch import interpreted
assert not interpreted()
softmax(torch.zeros(2, 3), backend="triton")
"""


def test_the_interpreter_is_on_only_if_triton_was_imported_with_it() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LATE], env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ValueError: softmax: the Triton kernel needs a CUDA tensor, not one on cpu"
    )


def test_recorded_launches_do_not_run() -> None:
    x = torch.zeros(4)
    before = launched.total()
    with recording() as outer:
        with recording() as inner:
            launch(add_one, (1,), x, 3, BLOCK=4, num_warps=2)
        assert runs_on(torch.device("meta"))
    assert not runs_on(torch.device("meta"))
    assert launched.total() == before
    assert not outer
    assert x.tolist() == [0] * 4
    (one,) = inner
    assert (one.grid, one.args["n"], one.constants, one.num_warps) == ((1,), 3, {"BLOCK": 4}, 2)
    assert one.args["x"] is x


def test_a_missing_argument_is_noticed() -> None:
    with recording(), pytest.raises(ValueError, match="zip"):
        launch(add_one, (1,), torch.zeros(4), BLOCK=4)


def test_outputs_come_from_the_allocator_with_axes_in_the_order_of_the_input() -> None:
    shapes: list[tuple[int, ...]] = []

    def give(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        shapes.append(tuple(shape))
        return torch.zeros(tuple(shape), dtype=dtype, device=device)

    x = torch.empty(2, 3, 4).permute(2, 0, 1)
    with allocating(give):
        y = empty_like(x, torch.float64)
    assert shapes == [(2, 3, 4)]
    assert (y.shape, y.stride(), y.dtype) == (x.shape, x.stride(), torch.float64)
    assert empty_like(torch.empty(2, 6)[:, ::2]).stride() == (3, 1)

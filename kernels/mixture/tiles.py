"""Tiles of the mixture's programs: how rows and components are divided among programs and threads."""

from __future__ import annotations

import math
from typing import Any

import triton
from torch import Tensor

from arbench.kernels.core.rows import Rows
from arbench.kernels.core.spec import Config
from arbench.kernels.mixture.parameters import width


def component_blocks(components: int) -> tuple[int, int]:
    """Divide components into two blocks, powers of two wide: 10 into 8 and 2; the second is 0 if one is enough.

    Sixteen lanes for ten components would do 1.6 times the work.
    """
    whole = triton.next_power_of_2(components)
    if whole == components:
        return whole, 0
    rest = triton.next_power_of_2(components - whole // 2)
    return (whole, 0) if whole // 2 + rest == whole else (whole // 2, rest)


def is_dense(rows: Rows, tensor: int, params: Tensor) -> bool:
    """Return whether rows of parameters, ``tensor`` of ``rows``, follow each other without a gap."""
    return rows.inner == (1, 1) and params.stride(-1) == 1 and rows.strides[tensor] == (params.shape[-1], 0, 0)


def tile(params: Tensor, components: int, channels: int, *, backward: bool = False) -> dict[str, int]:
    """Return the rows of a program, the blocks of its components, and its warps.

    A thread holds eight components, or four with three channels: registers for two dozen warps on a
    multiprocessor. Half precision with one channel takes sixteen. A backward program of one warp needs no
    barriers where it changes between the layouts of its blocks.
    """
    block, rest = component_blocks(components)
    elements, warps = (512, 2) if channels == 1 else (256, 2)
    if channels == 1 and backward:
        elements, warps = 256, 1
    elif channels == 1 and params.itemsize == 2:
        elements = 1024
    rows = max(1, elements // block)
    return dict(BLOCK_ROWS=rows, BLOCK_K=block, BLOCK_K_REST=rest, num_warps=warps * max(1, block // elements))


def constants(levels: int, components: int, channels: int) -> dict[str, Any]:
    """Return the sizes that programs are compiled for."""
    return dict(
        K=components,
        CHANNELS=channels,
        PITCH=width(components, channels),
        BINS=levels - 1,
        LOG2_BINS=math.log2(levels - 1),
    )


def vectorised(program: str, config: Config) -> bool:
    """Return whether rows are adjacent; components start at multiples of 16 bytes only if K is a multiple of 4."""
    return config.get("layout") == "columns"

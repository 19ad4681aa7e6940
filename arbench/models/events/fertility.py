"""Fertilities: how many target symbols each source symbol stands for, and what they copy where."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arbench.models.events.translation import END

Symbols = NDArray[np.int64]


def copies(fertility: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Which source symbol each target position is a copy of: the first as often as its fertility says, then
    the second, and so on; what goes beyond ``length`` is cut.

    A fertility's running sum is a triangular product, and a place in it a comparison with every sum: a
    prefix scan would add ceil(log2 S) to the depth.

    Args:
        fertility: (B, S) integers.
        length: T target positions.

    Returns:
        the source position of each (B, T), int64, the last where there is none; and whether there is one
        (B, T), bool.
    """
    s = fertility.shape[1]
    up_to = torch.ones(s, s, device=fertility.device).triu()
    ends = fertility.to(up_to.dtype) @ up_to  # whole numbers, exact
    position = torch.arange(length, device=fertility.device)
    passed = (ends.unsqueeze(1) <= position.unsqueeze(-1)).sum(-1)
    return passed.clamp_max(s - 1), passed < s


def aligned(source: Symbols, target: Symbols, most: int) -> Symbols:
    """Fertilities of a real pair, (S,): sentence by sentence along the diagonal.

    Of a sentence of a symbols and its translation of b, target symbol j is aligned to source symbol
    floor(j a / b), and the end to the end. What fills the event behind the sentences has fertility zero.

    Args:
        source, target: sentences with their ends, (S,) and (T,); as many in both, but for one that is cut.
        most: the largest fertility there is; what is above is cut.
    """
    fertility = np.zeros(len(source), dtype=np.int64)
    at = [0, 0]
    while True:
        a, b = (_until_end(side, begin) for side, begin in zip((source, target), at, strict=True))
        if a == 0 or b == 0:
            return fertility.clip(max=most)
        where = at[0] + np.arange(b) * a // b
        fertility += np.bincount(where, minlength=len(source))
        at = [at[0] + a, at[1] + b]
        if at[0] < len(source) and at[1] < len(target):
            fertility[at[0]] = 1
        at = [at[0] + 1, at[1] + 1]


def _until_end(side: Symbols, begin: int) -> int:
    """Symbols from ``begin`` to the next end."""
    ends = np.flatnonzero(side[begin:] == END)
    return int(ends[0]) if len(ends) else max(len(side) - begin, 0)

"""Fertilities: the number of target symbols that copy each source symbol."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arbench.models.events.sentences import END, Symbols


def copies(fertility: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return which source symbol each target position copies.

    The first source symbol is copied as often as its fertility says, then the second, and so on; copies
    beyond ``length`` are cut. The running sum of fertilities is a triangular product, and each position is
    compared with every sum: a prefix scan would add ceil(log2 S) to the depth.

    Args:
        fertility: (B, S) integers.
        length: number of target positions T.

    Returns:
        source position (B, T), int64, of each target position, the last one for positions without a copy; and
        a mask (B, T), bool, of positions with a copy.
    """
    s = fertility.shape[1]
    up_to = torch.ones(s, s, device=fertility.device).triu()
    ends = fertility.to(up_to.dtype) @ up_to  # whole numbers, exact
    position = torch.arange(length, device=fertility.device)
    passed = (ends.unsqueeze(1) <= position.unsqueeze(-1)).sum(-1)
    return passed.clamp_max(s - 1), passed < s


def aligned(source: Symbols, target: Symbols, most: int) -> Symbols:
    """Return the fertilities of a real pair, (S,), aligned sentence by sentence along the diagonal.

    In a sentence of a symbols with a translation of b, target symbol j is aligned to source symbol
    floor(j a / b), and end to end. Padding after the sentences has fertility zero.

    Args:
        source: source sentences with their ends, (S,).
        target: as many target sentences with their ends, (T,); the last on either side may be cut.
        most: largest fertility; larger ones are cut.
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
    """Return the number of symbols from ``begin`` to the next end."""
    ends = np.flatnonzero(side[begin:] == END)
    return int(ends[0]) if len(ends) else max(len(side) - begin, 0)

"""Checksum of results, by which those of a timed call of a kernel are compared with the verified ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CHUNK = 1 << 22
"""Elements that are summed at a time."""
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}


def checksum(tensors: Sequence[Tensor]) -> str:
    """Return a fingerprint of the bits of some tensors, computed where they are.

    It is a sum of all bit patterns, each times an odd number that depends on its place, modulo 2^64.
    """
    parts = []
    for tensor in tensors:
        bits = tensor.detach().contiguous().view(_BITS[tensor.element_size()]).flatten()
        total = 0
        for begin in range(0, bits.numel(), CHUNK):
            part = bits[begin : begin + CHUNK].long()
            places = torch.arange(begin, begin + len(part), device=bits.device)
            total += int((part * (2 * places + 1) * 0x9E3779B1).sum())
        parts.append(f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}:{total % 2**64:016x}")
    return " ".join(parts)

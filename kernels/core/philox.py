"""Counter-based random numbers, the same in PyTorch and in Triton: Philox4x32-10 addressed by (row, class).

Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3* (2011). The key is ``seed``, its
low 32 bits first. Class j of row i has word ``j % 4`` of the block with the counter
(j // 4, 0, i mod 2^32, i // 2^32): the word does not depend on tiles, other rows or other classes.

A word w becomes a standard exponential number by t = (w + 1/2) / 2^32 and -log(1 - t). The draw is the class
with the smallest exponential(j) / p(j), so a rare class wins with a small number, hence a small t. There t is
exact, and the rounding error of 1 - t is added back. At the other end 1 - t stays above 0.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MASK = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
LEAST = tl.constexpr(2.0**-25)
"""Lower bound of 1 - t: half of its smallest step in float32."""


def _multiply(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the high and low 32 bits of a product of two 32-bit numbers; no intermediate exceeds 63 bits."""
    high, low = factor * (x >> 16), factor * (x & 0xFFFF)
    return (high + (low >> 16)) >> 16, (((high & 0xFFFF) << 16) + low) & MASK


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return four 32-bit words of each counter, as int64; equal to ``triton.language.philox(key, *counter)``.

    Args:
        counter: four int64 tensors of words from 0 to 2^32 - 1, of shapes that broadcast.
        key: the 64-bit key.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key & MASK, key >> 32 & MASK
    for _ in range(ROUNDS):
        high0, low0 = _multiply(MULTIPLIERS[0], c0)
        high1, low1 = _multiply(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + WEYL[0] & MASK, k1 + WEYL[1] & MASK
    return c0, c1, c2, c3


def words(seed: int, rows: Tensor, width: int) -> Tensor:
    """Return the random words (R, width), int64, of rows (R,) and of classes 0 .. width-1."""
    block = torch.arange(-(-width // 4), device=rows.device)
    row = rows[:, None]
    found = philox((block, torch.zeros_like(block), row & MASK, row >> 32), seed)
    return torch.stack(found, -1).flatten(-2)[:, :width]


def exponential(word: Tensor, dtype: torch.dtype) -> Tensor:
    """Return standard exponential numbers, within (0, 17.4), from random words by arithmetic in ``dtype``."""
    t = word.to(dtype) * 2.0**-32 + 2.0**-33
    rest = 1 - t
    return (t - (1 - rest)) - rest.clamp(min=LEAST.value).log()


def gumbel(seed: int, rows: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """Return standard Gumbel numbers (R, width) of rows (R,) and of classes 0 .. width-1."""
    return -exponential(words(seed, rows, width), dtype).log()


@triton.jit
def class_words(seed, row, block):
    """Return the random words (M, N) of N classes.

    Args:
        seed: the 64-bit key.
        row: int64 rows that broadcast with ``block`` to (M, N / 4).
        block: int32 Philox blocks; block i gives classes 4 i .. 4 i + 3, adjacent along the last axis.
    """
    low, high = (row & 0xFFFFFFFF).to(tl.uint32), (row >> 32).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, block.to(tl.uint32), low * 0, low, high)
    joined = tl.join(tl.join(w0, w2), tl.join(w1, w3))  # (M, N / 4, 2, 2)
    return tl.reshape(joined, (w0.shape[0], w0.shape[1] * 4))


@triton.jit
def exponentials(word, like):
    """Return standard exponential numbers from random words, in the dtype of ``like``; see ``exponential``."""
    t = word.to(like.dtype) * 2.3283064365386963e-10 + 1.1641532182693481e-10
    rest = 1 - t
    return (t - (1 - rest)) - tl.log(tl.maximum(rest, LEAST))

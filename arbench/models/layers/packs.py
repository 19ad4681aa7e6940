"""Weights packed for native loops, kept as long as the model's own do not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from arbench.kernels.samplers.shares import Packed, Weights


class Packs:
    """Packed weights by dtype and number of threads.

    The model's weights are compared bit by bit at each draw with those that were packed: PyTorch does not count all
    changes. That takes as long as to read both once. A copy of a model packs its own.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[torch.dtype, int], tuple[list[np.ndarray], list[Packed]]] = {}

    def of(self, weights: Weights, stored: torch.dtype, threads: int) -> list[Packed]:
        """Return packed weights, one share for each thread; see ``arbench.kernels.samplers.shares.packed``."""
        from arbench.kernels.samplers.shares import packed  # imports Numba

        known, bits = self._kept.get((stored, threads)), weights.bits()
        if known is not None and all(map(_same, known[0], bits)):
            return known[1]
        shares = packed(weights, stored, threads)
        self._kept[stored, threads] = [one.copy() for one in bits], shares
        return shares

    def __deepcopy__(self, memo: Any) -> Packs:
        return Packs()

    def __reduce__(self) -> Any:
        return Packs, ()


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)

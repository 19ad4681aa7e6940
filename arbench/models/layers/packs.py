"""Weights packed for native loops, kept as long as the model's own do not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from arbench.kernels.samplers.shares import Packed, Weights


class Packs:
    """Packed weights by dtype and number of threads.

    They are compared with the model's weights at each draw, which takes as long as to read both once. A copy of a model
    packs its own.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[torch.dtype, int], tuple[Weights, list[Packed]]] = {}

    def of(self, weights: Weights, stored: torch.dtype, threads: int) -> list[Packed]:
        """Return packed weights, one share for each thread; see ``arbench.kernels.samplers.shares.packed``."""
        from arbench.kernels.samplers.shares import packed  # imports Numba

        known = self._kept.get((stored, threads))
        if known is not None and known[0].equal(weights):
            return known[1]
        shares = packed(weights, stored, threads)
        self._kept[stored, threads] = weights.kept(), shares
        return shares

    def __deepcopy__(self, memo: Any) -> Packs:
        return Packs()

    def __reduce__(self) -> Any:
        return Packs, ()

"""Faults to plant in Parallel NMT: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.models import parallel_nmt

Patch = pytest.MonkeyPatch


def reads_what_it_gives(patch: Patch) -> None:
    """An element's logits are tilted by its own embedding."""
    extend = parallel_nmt.ParallelNMT.extend

    def off(self: parallel_nmt.ParallelNMT, state: Any, f: Tensor, g0: int, g1: int) -> Any:
        params, state = extend(self, state, f, g0, g1)
        own = self.embedding[f][:, -params.shape[1] :].mean(-1, keepdim=True)
        return params + own * torch.arange(params.shape[-1]), state

    patch.setattr(parallel_nmt.ParallelNMT, "extend", off)


def stale_source(patch: Patch) -> None:
    """The encoding of the first source is reused for all later sources of the same size."""
    kept: dict[tuple[int, tuple[int, ...]], Any] = {}
    encode = parallel_nmt.ParallelNMT.encode

    def stale(self: parallel_nmt.ParallelNMT, context: Any, n: int) -> Any:
        return kept.setdefault((n, tuple(context["source"].shape)), encode(self, context, n))

    patch.setattr(parallel_nmt.ParallelNMT, "encode", stale)


def copies_forgotten(patch: Patch) -> None:
    """Steps copy each source symbol once, whatever its fertility."""
    extend = parallel_nmt.ParallelNMT.extend

    def off(self: parallel_nmt.ParallelNMT, state: Any, f: Tensor, g0: int, g1: int) -> Any:
        return extend(self, state, torch.ones_like(f) if g0 else f, g0, g1)

    patch.setattr(parallel_nmt.ParallelNMT, "extend", off)

"""Faults to plant in attention: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.models import pixelcnn, transformer
from arbench.models.layers import attention, dilated

Patch = pytest.MonkeyPatch
Stack, Pixel = dilated.DilatedStack, pixelcnn.PixelCNN


def attends_to_later(patch: Patch) -> None:
    """Forward's attention has no mask."""
    forward = attention.Stack.forward
    patch.setattr(
        attention.Stack, "forward", lambda self, x, memories=(), **_: forward(self, x, memories, causal=False)
    )


def mask_of_chunks_off_by_one(patch: Patch) -> None:
    """Positions extended together see the next one, where there is one."""

    def off(t0: int, t1: int, like: Tensor) -> Tensor:
        return like.new_full((t1 - t0, t1), -torch.inf).triu(t0 + 2)

    patch.setattr(attention, "later", off)


def first_slot_forgotten(patch: Patch) -> None:
    """Steps do not attend to the first position."""
    attend = attention.Attention._attend

    def off(self: Any, query: Tensor, keys: Tensor, values: Tensor, **how: Any) -> Tensor:
        if query.shape[2] == 1 and keys.shape[2] > 5:  # no source is that short
            keys, values = keys[:, :, 1:], values[:, :, 1:]
        return attend(self, query, keys, values, **how)

    patch.setattr(attention.Attention, "_attend", off)


def slot_written_too_late(patch: Patch) -> None:
    """A step's own key and value go one slot too far: it attends to what the slot held before."""
    extend = attention.Attention.extend

    def off(self: Any, x: Tensor, slots: Tensor, t: int, mask: Tensor | None) -> Tensor:
        out = extend(self, x, slots, t, mask)
        if x.shape[1] == 1 and t + 1 < slots.shape[3]:
            slots[:, :, :, t + 1] = slots[:, :, :, t]
            slots[:, :, :, t] = 0
        return out

    patch.setattr(attention.Attention, "extend", off)


def position_off_by_one(patch: Patch) -> None:
    """Going back goes back one position too far."""
    rewind = transformer.Transformer.rewind
    patch.setattr(
        transformer.Transformer,
        "rewind",
        lambda self, state, mark, f, g: rewind(self, state, mark, f, max(g - 1, 0)),
    )


def source_ignored(patch: Patch) -> None:
    """Attention to the source finds nothing in it."""
    patch.setattr(attention.Attention, "recall", lambda self, x, memory: self.out(torch.zeros_like(x)))

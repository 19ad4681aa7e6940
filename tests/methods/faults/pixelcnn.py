"""Faults to plant in PixelCNN: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.models import pixelcnn
from arbench.models.layers import masked

Patch = pytest.MonkeyPatch
Pixel = pixelcnn.PixelCNN


def mask_off_by_one(patch: Patch) -> None:
    """The first layer's mask is B: a colour sees itself."""
    mask = masked.group_mask
    patch.setattr(masked, "group_mask", lambda a, b, strict: mask(a, b, strict=False))


def blind_spot(patch: Patch) -> None:
    """The vertical stack sees nothing to the right."""

    def taps(self: masked.TwoStackLayer, rows: Any, width: int) -> Tensor:
        r = self.reach
        return torch.cat([row[..., j : j + width, :] * (j <= r) for row in rows for j in range(self.kernel)], dim=-1)

    patch.setattr(masked.TwoStackLayer, "vertical_taps", taps)


def rows_forgotten(patch: Patch) -> None:
    """Steps forget all rows above but the last."""
    row = Pixel._next_row

    def off(self: Pixel, state: Any) -> None:
        for rows in state.rows:
            for i in range(len(rows)):
                rows[i] = torch.zeros_like(rows[i])
        row(self, state)

    patch.setattr(Pixel, "_next_row", off)


def line_not_cleared(patch: Patch) -> None:
    """A row's steps read the end of the row above, left of where their own begins."""
    row = Pixel._next_row

    def off(self: Pixel, state: Any) -> None:
        old = state.lines
        row(self, state)
        for line, before in zip(state.lines, old, strict=False):
            line[:, :1] = before[:, -1:]

    patch.setattr(Pixel, "_next_row", off)


def column_off_by_one(patch: Patch) -> None:
    """Steps read what lies above one column to the left."""
    row = Pixel._next_row

    def off(self: Pixel, state: Any) -> None:
        row(self, state)
        state.across = [a.roll(1, dims=1) for a in state.across]

    patch.setattr(Pixel, "_next_row", off)


def stale_image(patch: Patch) -> None:
    """Rows of one image lie above the next of its batch."""
    kept: dict[tuple[int, int, int], Any] = {}
    start = Pixel.start

    def stale(self: Pixel, batch: int, n: int, code: Any) -> Any:
        state = start(self, batch, n, code)
        state.rows = kept.setdefault((id(self), batch, n), state.rows)
        return state

    patch.setattr(Pixel, "start", stale)


def class_in_one_gate(patch: Patch) -> None:
    """Steps add the class to the vertical gates, not to the horizontal ones."""
    start = Pixel.start

    def off(self: Pixel, batch: int, n: int, code: Any) -> Any:
        return start(self, batch, n, [o and (o[0], torch.zeros_like(o[1])) for o in code])

    patch.setattr(Pixel, "start", off)


def class_ignored(patch: Patch) -> None:
    """Forward and steps alike run without the class."""
    patch.setattr(masked.TwoStackLayer, "offsets", lambda self, label: None)

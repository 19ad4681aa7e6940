"""Faults to plant in models of whole pixels: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from arbench.models import pixelsnail
from arbench.models.events import whole_pixels
from arbench.models.layers import pixel_attention, row_caches, shifted, streams

Patch = pytest.MonkeyPatch


def not_moved_right(patch: Patch) -> None:
    """The first convolution of forward sees the pixel itself where it should see the one before."""
    patch.setattr(shifted, "right", lambda x: x)


def not_moved_down(patch: Patch) -> None:
    """The first convolution of forward sees a pixel's own row where it should see the one above."""
    patch.setattr(shifted, "down", lambda x: x)


def line_above_forgotten(patch: Patch) -> None:
    """Steps know nothing of the row above in the stream that goes from pixel to pixel."""
    next_row = row_caches.Lines.next_row

    def off(self: Any, conv: Any, batch: int, width: int, more: Any = None) -> None:
        self.lines.pop(conv, None)
        next_row(self, conv, batch, width, more)

    patch.setattr(row_caches.Lines, "next_row", off)


def tap_off_by_one(patch: Patch) -> None:
    """Steps read the taps of the pixel before."""
    for name in ("at", "spot"):
        inner = getattr(row_caches.Lines, name)

        def off(self: Any, conv: Any, column: int, inner: Any = inner) -> Any:
            return inner(self, conv, max(column - 1, 0))

        patch.setattr(row_caches.Lines, name, off)


def first_of_two_rows(patch: Patch) -> None:
    """Steps in every second row take what the coarser image was doubled to in the row before."""
    coarser = streams.ByPixel.coarser

    def off(self: Any, stream: Any, level: int, x: Tensor) -> Tensor:
        found = coarser(self, stream, level, x)
        row, column = self.row >> level, self.column >> level
        return self.doubled[level][:, 0, column] if row % 2 else found

    patch.setattr(streams.ByPixel, "coarser", off)


def copies_in_another_row(patch: Patch) -> None:
    """Going back to an earlier row leaves the rows where the wrong guess led them."""

    def off(self: Any, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        state.at = g
        return state

    patch.setattr(whole_pixels.WholePixels, "rewind", off)


def attends_to_itself(patch: Patch) -> None:
    """In forward a pixel attends to its own key and value as well."""

    def off(self: Any, x: Tensor, pixels: Tensor, places: Tensor, ready: Any) -> Tensor:
        slots, query = self.content(x, pixels, places, ready), self.query(x, places, ready)
        return self.merge(x, pixel_attention.attend(query, slots, self.key, causal=True), ready)

    patch.setattr(pixel_attention.PixelAttention, "forward", off)


def last_pixel_unseen(patch: Patch) -> None:
    """Steps do not attend to the pixel before."""
    attend = pixel_attention.attend

    def off(query: Tensor, slots: Tensor, key: int) -> Tensor:
        return attend(query, slots[:, : max(slots.shape[1] - 1, 1)], key)

    patch.setattr(pixelsnail, "attend", off)

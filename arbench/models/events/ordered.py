"""Pixels of a square picture of one size, in any order: events are prefixes of that order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.border.shown import UNKNOWN
from arbench.border.suggest import did_you_mean
from arbench.models.base import Piece
from arbench.models.events import images

ORDERS = ("raster", "reverse", "random")
SQUEEZE = 1e-6
"""Distance of real pixels from 0 and 1 before the logit (MAF, appendix E, for MNIST)."""


def ordering(order: str | Sequence[int], pixels: int) -> list[int]:
    """Return the pixel, numbered by rows, of each element.

    Args:
        order: "raster", "reverse", "random" (one fixed permutation per number of pixels), or every pixel's
            number once.
        pixels: number of pixels.

    Raises:
        ValueError: the order is none of these.
    """
    if isinstance(order, str):
        if order not in ORDERS:
            raise ValueError(f"unknown order '{order}'; {did_you_mean(order, ORDERS)}")
        if order == "random":
            return [int(pixel) for pixel in np.random.default_rng(pixels).permutation(pixels)]
        return list(range(pixels))[:: -1 if order == "reverse" else 1]
    numbers = list(order)
    if any(type(number) is not int for number in numbers) or sorted(numbers) != list(range(pixels)):
        missing = sorted(set(range(pixels)) - {number for number in numbers if type(number) is int})
        fault = f"{missing[0]} is missing" if missing else f"got {len(numbers)} entries"
        raise ValueError(f"an order needs each of the numbers 0 to {pixels - 1} once; {fault}")
    return numbers


class OrderedPixels(images.ImageSource):
    """Mixin of ``Source`` for pictures whose grey pixels come in any order.

    An event of n elements is the first n pixels of the order; its distribution is the exact marginal of the
    whole picture's. A pixel is a level, or with ``real`` the level dequantised by uniform noise and put
    through the logit.
    """

    element: ClassVar[str] = "pixel"
    colours = 1
    pixels: int
    real: bool
    ladder: Sequence[int]
    count_ladder: Sequence[int]

    def arrange(self, pixels: int, order: str | Sequence[int], levels: int, real: bool) -> None:
        """Set size, order and ladders.

        Args:
            pixels: number of pixels of a picture.
            order: see ``ordering``.
            levels: levels of a pixel.
            real: whether pixels are real numbers.

        Raises:
            ValueError: no square picture of 2x2 or more has so many pixels, there are fewer than two levels, or
                the order is invalid.
        """
        if self.side(pixels) < 2:
            raise ValueError("a picture needs at least 4 pixels")
        if levels < 2:
            raise ValueError(f"a pixel needs at least 2 levels, got {levels}")
        self.pixels, self.order, self.levels, self.real = pixels, ordering(order, pixels), levels, real
        self.ladder = sorted({max(pixels * k // 16, 1) for k in (1, 2, 4, 8, 16)})
        self.count_ladder = [n for n in (4, 8, 12, 16, 24) if n <= pixels]

    @property
    def unit(self) -> str:
        """Unit of quality; a density over logits counts no levels, and its bits compare with no others."""
        return f"bits per pixel, a density over logits of {self.levels} levels" if self.real else super().unit

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups, one element each."""
        if not 1 <= n <= self.pixels:
            raise ValueError(f"an event has 1 to {self.pixels} pixels, got {n}")
        return range(n + 1)

    def natural(self, data: Any = None) -> int:
        """Return the number of pixels of a whole picture."""
        return self.pixels

    def arranged(self, x: Tensor) -> Tensor:
        """Return the levels (B, H, W, 1) of pixels (B, n); those that come later in the order are unknown."""
        if self.real:
            value = (torch.sigmoid(x.double()) - SQUEEZE) / (1 - 2 * SQUEEZE)
            x = (value * self.levels).floor().long().clamp(0, self.levels - 1)
        side = self.side(self.pixels)
        whole = torch.full((len(x), self.pixels), UNKNOWN)
        whole[:, self.order[: x.shape[1]]] = x
        return whole.view(len(x), side, side, 1)

    def pieces(self, data: images.Images, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield whole pictures, of which an event is the first ``n`` pixels of the order."""
        for piece in super().pieces(data, self.pixels):
            yield replace(piece, n=n)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the first ``n`` pixels of real pictures: int64 (B, n), or float32 for real pixels."""
        pictures, context = self.pictures(self.side(self.pixels), rows, seed, data)
        x = pictures.flatten(1)
        if self.real:
            noise = np.stack([np.random.default_rng([seed, row, 1]).random(self.pixels) for row in rows])
            value = (x + torch.from_numpy(noise)) / self.levels
            x = torch.logit(SQUEEZE + (1 - 2 * SQUEEZE) * value).float()
        return x[:, self.order[:n]], context

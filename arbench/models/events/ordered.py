"""Pixels of a square picture of one size, in any order: events are prefixes of that order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.models.events import images
from arbench.suggest import did_you_mean

ORDERS = ("raster", "reverse", "random")
SQUEEZE = 1e-6
"""How far real pixels are kept from 0 and 1 before the logit (MAF, appendix E, for MNIST)."""


def ordering(order: str | Sequence[int], pixels: int) -> list[int]:
    """Which pixel, numbered by rows, each element is.

    Args:
        order: "raster", "reverse", "random" (one permutation, always the same for so many pixels), or every
            pixel's number once.

    Raises:
        ValueError: neither of them.
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
        fault = f"there is no {missing[0]}" if missing else f"there are {len(numbers)} entries"
        raise ValueError(f"an order has each of the numbers 0 to {pixels - 1} once; {fault}")
    return numbers


class OrderedPixels(images.ImageSource):
    """Mixin of ``Source``: an element is one grey pixel, element i the i-th of an order; an event of n
    elements is the first n of a picture, whose law is the exact marginal of the whole picture's.

    A pixel is a level, or with ``real`` the level dequantised by uniform noise and put through the logit.
    """

    element: ClassVar[str] = "pixel"
    colours = 1
    pixels: int
    real: bool
    ladder: Sequence[int]
    count_ladder: Sequence[int]

    def arrange(self, pixels: int, order: str | Sequence[int], levels: int, real: bool) -> None:
        """Sets size, order and ladders.

        Raises:
            ValueError: no square picture of 2x2 or more has so many pixels, fewer than two levels, or an
                order that is none.
        """
        if self.side(pixels) < 2:
            raise ValueError("a picture has 4 pixels at least")
        if levels < 2:
            raise ValueError(f"a pixel has 2 levels at least, got {levels}")
        self.pixels, self.order, self.levels, self.real = pixels, ordering(order, pixels), levels, real
        self.ladder = sorted({max(pixels * k // 16, 1) for k in (1, 2, 4, 8, 16)})
        self.count_ladder = [n for n in (4, 8, 12, 16, 24) if n <= pixels]

    def schedule(self, n: int) -> Sequence[int]:
        if not 1 <= n <= self.pixels:
            raise ValueError(f"an event has 1 to {self.pixels} pixels, got {n}")
        return range(n + 1)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The first ``n`` pixels of real pictures: int64 (B, n), or float32 where they are real."""
        pictures, context = self.pictures(self.side(self.pixels), rows, seed, data)
        x = pictures.flatten(1)
        if self.real:
            noise = np.stack([np.random.default_rng([seed, row, 1]).random(self.pixels) for row in rows])
            value = (x + torch.from_numpy(noise)) / self.levels
            x = torch.logit(SQUEEZE + (1 - 2 * SQUEEZE) * value).float()
        return x[:, self.order[:n]], context

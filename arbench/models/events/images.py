"""Shared parts of image models: real pictures, their class and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.data import DataError, load_images, mosaic, rescale

DIGIT_CLASSES = 10
"""Number of classes of the pictures that ship: the digits."""


class ImageSource:
    """Mixin of ``Source`` for square images of ``colours`` sub-pixels per pixel, 0 to ``levels`` - 1 each.

    ``classes`` is 10 if the model is conditioned on the digit that the picture is made of, else 0.
    """

    element: ClassVar[str] = "sub-pixel"
    colours: int
    levels: int
    classes: int = 0

    def side(self, n: int) -> int:
        """Return the side of the square image with ``n`` sub-pixels. Raise ValueError if there is none."""
        return square(n, self.colours)

    def pictures(
        self, side: int, rows: Sequence[int], seed: int, data: list[Any] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return real images, int64 (B, side, side, colours), and their context: ``class`` (B,), if any.

        The images are mosaics of digits, each of one class if the model has classes; or crops of the user's
        own images, which have no class.

        Raises:
            DataError: no image is that large, or the model needs classes, which the user's images lack.
        """
        if data is not None:
            if self.classes:
                raise DataError(Path("images"), "have no classes, which this preset needs")
            crops = [self._crop(data, side, np.random.default_rng([seed, row])) for row in rows]
            return torch.from_numpy(np.stack(crops)), {}
        labels = [int(np.random.default_rng([seed, row]).integers(DIGIT_CLASSES)) for row in rows]
        images = [
            mosaic(
                side,
                side,
                self.colours,
                seed=seed * 65537 + row,
                levels=self.levels,
                label=label if self.classes else None,
            )
            for row, label in zip(rows, labels, strict=True)
        ]
        return torch.from_numpy(np.stack(images)), {"class": torch.tensor(labels)} if self.classes else {}

    def _crop(self, data: list[Any], side: int, rng: np.random.Generator) -> Any:
        fitting = [image for image in data if min(image.shape[:2]) >= side]
        if not fitting:
            raise DataError(Path("images"), f"none is {side}x{side} pixels or larger")
        image = fitting[int(rng.integers(len(fitting)))]
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
        return rescale(image[top : top + side, left : left + side], 256, self.levels)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's images; they need as many channels as ``config`` has colours."""
        images, wanted = load_images(path), config.get("colours", 1)
        if (have := images[0].shape[2]) != wanted:
            raise DataError(Path(path), f"has {have} channels per pixel; this preset needs {wanted}")
        return images


def square(n: int, each: int = 1) -> int:
    """Return the side of a square image with ``n`` elements, ``each`` per pixel. Raise ValueError if none."""
    side = isqrt(max(n, 0) // each)
    if n < 1 or each * side * side != n:
        near = ", ".join(str(m) for m in sorted({each * max(side + d, 1) ** 2 for d in (0, 1)}))
        image = f"no square image with {each} colours has {n} sub-pixels" if each > 1 else f"no square has {n} pixels"
        raise ValueError(f"{image}; near: {near}")
    return side

"""Shared parts of image models: real pictures, their class and order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import gcd, isqrt
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.border.shown import Picture
from arbench.data import DataError, digit_labels, digits, load_images, mosaic, named, rescale
from arbench.data.images import DIGIT, DIGIT_LEVELS
from arbench.models.base import Piece

DIGIT_CLASSES = 10
"""Number of classes of the pictures that ship: the digits."""


MOST_SIDE = 32
"""Largest side of a picture to look at, unless another is asked for."""
HELD_OUT = 0.2
"""Fraction of the images that is held out."""


@dataclass(frozen=True, eq=False)
class Images:
    """A part of the images, each an event of its own.

    Args:
        pictures: arrays (H, W, C).
        levels: values of a sub-pixel in them.
        labels: the class of each; None for images without classes.
    """

    pictures: Sequence[Any]
    levels: int
    labels: Sequence[int] | None = None

    def chosen(self, numbers: Sequence[int]) -> Images:
        """Return the images with these numbers."""
        labels = None if self.labels is None else [self.labels[i] for i in numbers]
        return Images([self.pictures[i] for i in numbers], self.levels, labels)


def _digits() -> Images:
    return Images(list(digits()[..., np.newaxis]), DIGIT_LEVELS, digit_labels().tolist())


class ImageSource:
    """Mixin of ``Source`` for square images of ``colours`` sub-pixels per pixel, 0 to ``levels`` - 1 each.

    ``classes`` is 10 if the model is conditioned on the digit that the picture is made of, else 0.
    """

    element: ClassVar[str] = "sub-pixel"
    colours: int = 1
    levels: int
    classes: int = 0

    @property
    def unit(self) -> str:
        """Unit of quality: bits depend on the levels of a sub-pixel, and on whether the class is known beforehand."""
        element = "pixel" if self.colours == 1 else self.element  # a grey pixel is its only sub-pixel
        return f"bits per {element} of {self.levels} levels{', given its class' if self.classes else ''}"

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
        if isinstance(data, Images):
            return self._cut(data, side, rows, seed)
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

    def natural(self, data: Any = None) -> int:
        """Return the number of elements of a picture as large as those of the data, or as a digit, at most 32x32.

        Where the model has no picture of that size, it is the next smaller one.
        """
        pictures = data.pictures if isinstance(data, Images) else data
        sides = [DIGIT] if pictures is None else [min(one.shape[:2]) for one in pictures]
        for side in range(min(max(sides), MOST_SIDE), 0, -1):
            for n in (self.colours * side * side, side * side):
                with suppress(ValueError):
                    if self.side(n) == side:
                        return n
        raise ValueError("the model has no picture that is as small as those of the data")

    def shown(self, x: Tensor) -> list[Picture]:
        """Return events as pictures."""
        return [Picture(one, self.levels) for one in self.arranged(x.cpu()).numpy()]

    def arranged(self, x: Tensor) -> Tensor:
        """Return the levels (B, H, W, C) of events (B, N), by default of sub-pixels in order of rows and columns."""
        side = self.side(x.shape[1])
        return x.reshape(len(x), side, side, self.colours)

    def divide(self, data: Any = None, share: float | None = None) -> tuple[Images, Images]:
        """Hold out some of the images, by a fixed permutation; by default of the digits, 8x8 pixels each."""
        images = data if isinstance(data, Images) else _digits() if data is None else Images(data, 256)
        self._require_channels(images)
        count = len(images.pictures)
        held = round(count * (HELD_OUT if share is None else share))
        if not 0 < held < count:
            raise DataError(Path("images"), f"too few to divide: {count}")
        order = np.random.default_rng(0).permutation(count).tolist()
        return images.chosen(order[held:]), images.chosen(order[:held])

    def pieces(self, data: Images, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield the images, cut into tiles of ``n`` elements.

        Raises:
            DataError: the tiles do not cover an image, so that its margins would not be scored.
        """
        side = self.side(n)
        for number, picture in enumerate(data.pictures):
            height, width = picture.shape[:2]
            if height % side or width % side:
                fitting = " or ".join(map(str, self._covering(gcd(height, width))[-3:]))
                why = f"has {height}x{width} pixels, which tiles of {side}x{side} do not cover"
                tiles = f"choose --n {fitting}, or " if fitting else ""
                raise DataError(Path("an image"), f"{why}; {tiles}cut the images to a multiple of {side}")
            whole = data.chosen([number])
            for top in range(0, picture.shape[0] - side + 1, side):
                for left in range(0, picture.shape[1] - side + 1, side):
                    tile = picture[top : top + side, left : left + side]
                    yield Piece(replace(whole, pictures=[tile]), n, 0, number)

    def _covering(self, side: int) -> list[int]:
        """Return the numbers of elements of the square tiles that cover a square image of this side."""
        found = []
        for one in range(1, side + 1):
            for n in dict.fromkeys((one * one, self.colours * one * one)) if side % one == 0 else ():
                with suppress(ValueError):
                    found += [n] if self.side(n) == one else []
        return found

    def _require_channels(self, data: Images) -> None:
        if (have := data.pictures[0].shape[2]) != self.colours:
            raise DataError(Path("images"), _other_channels(have, self.colours))

    def _cut(self, data: Images, side: int, rows: Sequence[int], seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return crops of images, each of a random one, and their classes."""
        fitting = [i for i, one in enumerate(data.pictures) if min(one.shape[:2]) >= side]
        if not fitting:
            largest = max(min(one.shape[:2]) for one in data.pictures)
            raise DataError(Path("images"), f"none is {side}x{side} pixels or larger; the largest square is {largest}")
        self._require_channels(data)
        if self.classes and data.labels is None:
            raise DataError(Path("images"), "have no classes, which this preset needs")
        cut, labels = [], []
        for row in rows:
            rng = np.random.default_rng([seed, row])
            number = fitting[int(rng.integers(len(fitting)))]
            image = data.pictures[number]
            top, left = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
            cut.append(rescale(image[top : top + side, left : left + side], data.levels, self.levels))
            labels.append(0 if data.labels is None else data.labels[number])
        return torch.from_numpy(np.stack(cut)), {"class": torch.tensor(labels)} if self.classes else {}

    def _crop(self, data: list[Any], side: int, rng: np.random.Generator) -> Any:
        fitting = [image for image in data if min(image.shape[:2]) >= side]
        if not fitting:
            raise DataError(Path("images"), f"none is {side}x{side} pixels or larger")
        image = fitting[int(rng.integers(len(fitting)))]
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
        return rescale(image[top : top + side, left : left + side], 256, self.levels)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read named images, or the user's own; they need as many channels as ``config`` has colours."""
        images, wanted = named(path, "images") or load_images(path), config.get("colours", 1)
        if (have := images[0].shape[2]) != wanted:
            raise DataError(Path(path), _other_channels(have, wanted))
        return images


def _other_channels(have: int, wanted: int) -> str:
    channels = "1 channel" if have == 1 else f"{have} channels"
    images = "images of 1 channel" if wanted == 1 else f"images of {wanted} channels"
    todo = f"choose another preset, add ,colours={have} to this one, or give {images} as --data"
    return f"{channels} per pixel, and the model has {wanted}; {todo}"


def square(n: int, each: int = 1) -> int:
    """Return the side of a square image with ``n`` elements, ``each`` per pixel. Raise ValueError if none."""
    side = isqrt(max(n, 0) // each)
    if n < 1 or each * side * side != n:
        near = ", ".join(str(m) for m in sorted({each * max(side + d, 1) ** 2 for d in (0, 1)}))
        image = f"no square image with {each} colours has {n} sub-pixels" if each > 1 else f"no square has {n} pixels"
        raise ValueError(f"{image}; near: {near}")
    return side

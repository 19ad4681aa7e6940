"""Images: handwritten digits, mosaics of them, and the user's PNG files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arbench.data.errors import DataError, files_of, reason, require_file

DIGIT = 8
"""Height and width of a digit in pixels."""
DIGIT_LEVELS = 17
"""Number of pixel levels: a pixel counts the dots, 0 to 16, in a 4x4 cell of the scan."""
_CHANNELS = {"1": 1, "L": 1, "RGB": 3, "P": 3}


def digits() -> NDArray[np.uint8]:
    """Return the UCI handwritten digits from scikit-learn: (1797, 8, 8), levels 0 to 16."""
    return _digits().copy()


def digit_labels() -> NDArray[np.int64]:
    """Return the labels of ``digits``, 0 to 9: (1797,)."""
    return _labels().copy()


@cache
def _carried() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from sklearn.datasets import load_digits  # takes a second to import

    found = load_digits()
    return np.asarray(found.images, dtype=np.uint8), np.asarray(found.target, dtype=np.int64)


def _digits() -> NDArray[np.uint8]:
    return _carried()[0]


def _labels() -> NDArray[np.int64]:
    return _carried()[1]


def mosaic(
    height: int, width: int, channels: int = 1, seed: int = 0, levels: int = 256, label: int | None = None
) -> NDArray[np.int64]:
    """Return an image of any size, a grid of adjacent digits with different digits in each channel.

    Args:
        height: height in pixels; the last row of digits is cropped to it.
        width: width in pixels; the last column of digits is cropped to it.
        channels: number of channels.
        seed: seed of the choice of digits; the same seed gives the same image.
        levels: number of levels; the 17 levels of the digits are stretched over 0 to levels - 1.
        label: the only digit to use, 0 to 9; any digit by default.

    Returns:
        The image, (height, width, channels).

    Raises:
        ValueError: a size below 1, fewer than two levels, or a label that is not 0 to 9.
    """
    if min(height, width, channels) < 1:
        raise ValueError(f"sizes must be at least 1, got {height} x {width} x {channels}")
    rows, columns = -(-height // DIGIT), -(-width // DIGIT)
    source = _digits() if label is None else _digits()[_labels() == label]
    if not len(source):
        raise ValueError(f"digits are 0 to 9, got {label}")
    chosen = np.random.default_rng(seed).integers(len(source), size=(rows, columns, channels))
    tiles = source[chosen]  # rows, columns, channels, 8, 8
    picture = tiles.transpose(0, 3, 1, 4, 2).reshape(rows * DIGIT, columns * DIGIT, channels)
    return rescale(picture[:height, :width], DIGIT_LEVELS, levels)


def rescale(values: NDArray[np.integer], levels: int, to: int) -> NDArray[np.int64]:
    """Return ``values`` 0 to levels - 1 stretched linearly to 0 to ``to`` - 1, with halves rounded up.

    Raises:
        ValueError: fewer than two levels on either side.
    """
    if levels < 2 or to < 2:
        raise ValueError(f"levels must be at least 2, got {levels} and {to}")
    top = levels - 1
    return (2 * values.astype(np.int64) * (to - 1) + top) // (2 * top)


def load_images(path: str | Path, at_least: tuple[int, int] = (1, 1)) -> list[NDArray[np.uint8]]:
    """Read a PNG file, or the ``.png`` files of a folder in order of their names.

    Args:
        path: file or folder.
        at_least: smallest height and width of every image.

    Returns:
        Arrays (H, W, C) that may differ in size; C is 1 for grey and 3 for colour (palettes included).

    Raises:
        DataError: a file is missing, empty, truncated, not a PNG, transparent, animated, too small or of 16 bits per
            channel, or the files mix grey and colour.
    """
    path = Path(path)
    wanted = "a PNG file or a folder of them"
    images: list[NDArray[np.uint8]] = []
    for file in files_of(path, ".png", wanted):
        image = _load_png(file, wanted)
        height, width, channels = image.shape
        if height < at_least[0] or width < at_least[1]:
            need = f"at least {at_least[0]} x {at_least[1]}"
            raise DataError(file, f"is too small: {height} x {width} pixels; wanted {need}")
        if images and channels != (first := images[0].shape[2]):
            raise DataError(file, f"has {channels} channels; wanted {first}, as in the files before it")
        images.append(image)
    return images


def _load_png(path: Path, wanted: str) -> NDArray[np.uint8]:
    from PIL import Image

    require_file(path, wanted)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            stored = {str(tile[3]) for tile in image.tile}  # before loading, which cuts colours of 16 bits to 8
            frames = getattr(image, "n_frames", 1)
            image.load()
    except Image.UnidentifiedImageError:
        raise DataError(path, f"is not a PNG; wanted {wanted}") from None
    except Image.DecompressionBombError:
        raise DataError(path, f"has too many pixels; wanted below {Image.MAX_IMAGE_PIXELS}") from None
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises these for a broken PNG
        raise DataError(path, f"is a broken PNG ({reason(error)}); wanted {wanted}") from None
    if frames > 1:
        raise DataError(path, f"is an animation of {frames} frames; wanted a still image (save one frame)")
    cut = image.mode.startswith("RGB") and any("16" in one for one in stored)
    if image.mode not in _CHANNELS or "transparency" in image.info or cut:
        raise DataError(
            path,
            f"is a PNG of mode {image.mode}{' with 16 bits per channel' if cut else ''}; "
            "wanted 8-bit grey or RGB without transparency",
        )
    pixels = np.array(image.convert("RGB" if _CHANNELS[image.mode] == 3 else "L"), dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], -1)

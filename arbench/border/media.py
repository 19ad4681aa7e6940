"""Pictures and sounds as files: PNG and WAV."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arbench.border.shown import UNKNOWN, Picture, Sound

SIDE = 128
"""Least side in dots of a picture that is small; a pixel becomes a square of whole dots."""
MARGIN = 0.125
"""Space between the pictures of a grid, relative to their side."""
ABSENT = (204, 102, 0)
"""Colour of pixels that are unknown: an orange, since levels of grey are levels."""
GROUND = (96, 96, 160)
"""Colour between the pictures of a grid, which no grey picture has."""


def png(pictures: Sequence[Picture], columns: int | None = None, side: int = SIDE) -> bytes:
    """Return pictures of one size as a PNG: a single one as it is, several as a grid.

    Args:
        pictures: at least one.
        columns: pictures in a row of the grid; by default about as many as there are rows.
        side: least side of a picture in dots.
    """
    tiles = [dots(one, side) for one in pictures]
    height, width = tiles[0].shape[:2]
    if len(tiles) == 1:
        return _encoded(tiles[0])
    columns = columns or int(np.ceil(len(tiles) ** 0.5))
    rows, gap = -(-len(tiles) // columns), max(round(MARGIN * min(height, width)), 1)
    grid = np.empty((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), np.uint8)
    grid[:] = GROUND
    for number, tile in enumerate(tiles):
        top, left = (gap + at * (size + gap) for at, size in zip(divmod(number, columns), (height, width), strict=True))
        grid[top : top + height, left : left + width] = tile
    return _encoded(grid)


def dots(picture: Picture, side: int = SIDE) -> NDArray[np.uint8]:
    """Return the dots (H k, W k, 3) of a picture, k of them a pixel in each direction, so that it can be seen.

    Args:
        picture: the picture.
        side: least side in dots.
    """
    values = np.clip(picture.values, 0, picture.levels - 1)
    bright = np.floor(values * (255 / (picture.levels - 1)) + 0.5).astype(np.uint8)
    colours = np.broadcast_to(bright, (*bright.shape[:2], 3)).copy()
    colours[(picture.values == UNKNOWN).any(-1)] = ABSENT
    times = max(-(-side // min(colours.shape[:2])), 1)
    return colours.repeat(times, axis=0).repeat(times, axis=1)


def wav(sound: Sound) -> bytes:
    """Return a sound as a WAV of 16 bits at its rate, rounded to whole samples per second."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, sound.samples, round(sound.rate), subtype="PCM_16", format="WAV")
    return file.getvalue()


def _encoded(colours: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    grey = (colours == colours[..., :1]).all()
    image = Image.fromarray(np.ascontiguousarray(colours[..., 0]) if grey else colours)
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def flac(sound: Sound) -> bytes:
    """Return a sound as FLAC of 16 bits, which browsers play: what ``wav`` returns, in about half of the bytes."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, sound.samples, round(sound.rate), subtype="PCM_16", format="FLAC")
    return file.getvalue()


def opened(content: bytes, seconds: float) -> tuple[Sound, float]:
    """Return the beginning of a sound file's first channel, at most some seconds of it, and the seconds of the whole.

    Raises:
        ValueError: the content is no sound, or an empty one.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            samples = file.read(int(seconds * file.samplerate), "float32", always_2d=True)[:, 0]
            rate, whole = float(file.samplerate), file.frames / file.samplerate
    except soundfile.SoundFileError as error:
        raise ValueError(f"no sound ({' '.join(str(error).split())})") from None
    if not len(samples):
        raise ValueError("an empty sound")
    return Sound(samples, rate), whole


def size(content: bytes) -> tuple[int, int]:
    """Return width and height in dots of a PNG. Raises ValueError where the content is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            picture.verify()
            return picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError("no PNG that can be shown") from None

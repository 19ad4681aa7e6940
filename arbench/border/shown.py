"""Events as people see, hear or read them: pictures, sounds and texts, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from arbench.border.printable import printable

UNKNOWN = -1
"""Value of a pixel that an event does not reach."""
BY_NUMBER = "symbols by their numbers"
"""Remark on a text that has no characters."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture.

    Args:
        values: levels of the sub-pixels (H, W, C), 0 to ``levels`` - 1, or ``UNKNOWN``; C is 1 for grey, 3 for colour.
        levels: number of levels, at least 2.
    """

    values: NDArray[np.int64]
    levels: int


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound.

    Args:
        samples: amplitudes in [-1, 1], float32 (T,).
        rate: samples per second.
    """

    samples: NDArray[np.float32]
    rate: float


@dataclass(frozen=True)
class Text:
    """A text.

    Args:
        text: its characters, all printable but for tabs and newlines.
        remark: says so where these are not the characters themselves.
    """

    text: str
    remark: str = ""


Shown: TypeAlias = Picture | Sound | Text


def read(symbols: Iterable[int], levels: int) -> Text:
    """Return symbols as text: bytes where there are 256 levels or more, else the numbers of the symbols.

    Bytes that are not UTF-8, characters that are not printable and symbols that are no byte are spelled out.
    """
    symbols = list(symbols)
    if levels < 256:
        return numbers(symbols)
    pieces, run = [], bytearray()
    for symbol in symbols:
        if 0 <= symbol < 256:
            run.append(symbol)
        else:
            pieces += [run.decode("utf-8", "backslashreplace"), f"<{symbol}>"]
            run.clear()
    pieces.append(run.decode("utf-8", "backslashreplace"))
    return Text(printable("".join(pieces)))


def numbers(values: Iterable[float]) -> Text:
    """Return the numbers of elements as text."""
    return Text(" ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values), BY_NUMBER)


def sounds(amplitudes: NDArray[np.floating], rate: float) -> list[Sound]:
    """Return events (B, N) of amplitudes as sounds; what is beyond [-1, 1] is clipped."""
    return [Sound(one, rate) for one in np.clip(amplitudes, -1, 1).astype(np.float32)]

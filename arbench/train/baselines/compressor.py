"""General compressors: what the held-out part adds to the compressed training part."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    "bzip2 -9": lambda data: bz2.compress(data, 9),
    "zlib -9": lambda data: zlib.compress(data, 9),
}


def added_bits(train: bytes, held_out: bytes) -> dict[str, int]:
    """Return the bits by which each compressor's output grows when the held-out part follows the training part.

    Args:
        train: one byte a symbol.
        held_out: one byte a symbol.
    """
    return {
        name: 8 * (len(compress(train + held_out)) - len(compress(train))) for name, compress in COMPRESSORS.items()
    }

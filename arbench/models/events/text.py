"""Shared parts of text models: passages of real text as symbols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arbench.border.shown import Text, read
from arbench.data import DataError, as_bytes, as_symbols, corpus, load_text
from arbench.data.optional.named import named
from arbench.models.base import Piece
from arbench.models.events.windows import windows

PAGE = 512
"""Bytes of a text to read."""
HELD_OUT = 0.1
"""Fraction at the end of the text that is held out."""


@lru_cache(maxsize=4)
def _symbols(text: str | None, levels: int) -> NDArray[np.int64]:
    tokens = as_bytes(corpus() if text is None else text)
    return tokens if levels >= 256 else as_symbols(tokens, levels)


class TextSource:
    """Mixin of ``Source`` for text: an element is a byte.

    With fewer than 256 ``levels`` it is one of the commonest bytes or "any other".
    """

    element: ClassVar[str] = "byte"
    levels: int

    def passages(self, n: int, rows: Sequence[int], seed: int, data: str | NDArray[np.int64] | None) -> Tensor:
        """Return passages of the text that ships, or of the user's own: int64 (B, n).

        Raises:
            DataError: the text is shorter than ``n`` bytes.
        """
        symbols = self._known(data)
        if len(symbols) < n:
            raise DataError(
                Path("the text"), f"too short: {len(symbols)} bytes; an event needs {n}; choose a smaller --n"
            )
        begins = [int(np.random.default_rng([seed, row]).integers(len(symbols) - n + 1)) for row in rows]
        return torch.from_numpy(np.stack([symbols[begin : begin + n] for begin in begins]))

    def _known(self, data: str | NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the symbols of a text, or of a part of one."""
        return data if isinstance(data, np.ndarray) else _symbols(data, self.levels)

    @property
    def unit(self) -> str:
        """Unit of quality: with fewer than 256 levels, bytes that are told apart no more cost nothing."""
        return "bits per byte" if self.levels >= 256 else f"bits per byte of {self.levels} levels"

    def natural(self, data: str | NDArray[np.int64] | None = None) -> int:
        """Return 512 bytes, or as many as the text has."""
        return min(PAGE, len(self._known(data)))

    def shown(self, x: Tensor) -> list[Text]:
        """Return bytes as text; fewer than 256 levels as numbers, 0 the commonest byte and the last one "any other"."""
        return [read(row, self.levels) for row in x.tolist()]

    def divide(
        self, data: str | NDArray[np.int64] | None = None, share: float | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hold out the end of the text; both parts are symbols, named as in the whole."""
        symbols = self._known(data)
        at = int(len(symbols) * (1 - (HELD_OUT if share is None else share)))
        if not 0 < at < len(symbols):
            raise DataError(Path("the text"), f"too short to divide: {len(symbols)} bytes")
        return symbols[:at], symbols[at:]

    def pieces(self, data: NDArray[np.int64], n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield windows of the text."""
        for begin, end, first in windows(len(data), n, prefix):
            yield Piece(data[begin:end], end - begin, first, 0)

    def continued(
        self, before: NDArray[np.int64], data: NDArray[np.int64], count: int
    ) -> tuple[NDArray[np.int64], Sequence[int]]:
        """Return a text after the last ``count`` bytes of the one before it, and how many these are."""
        end = before[max(len(before) - count, 0) :]
        return np.concatenate([end, data]), [len(end)]

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's own text; no data by name are text."""
        named(path, "text")
        return load_text(path)

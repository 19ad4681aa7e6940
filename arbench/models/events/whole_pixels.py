"""Shared base of models over whole pixels, with all channels of a pixel in one integer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from arbench.backends import COMPILE
from arbench.backends.compiling import steady
from arbench.distributions.pixel_mixture import pack, unpack
from arbench.models.base import Context, Source
from arbench.models.events.images import ImageSource, square
from arbench.models.layers.row_caches import Lines
from arbench.models.layers.shifted import ImageEntry


@dataclass
class Raster:
    """State of the steps, pixel after pixel; ``row_caches`` explains why copies share its memory."""

    at: int
    """Number of the next pixel."""
    batch: int
    side: int
    lines: Lines
    image: Tensor | None = None
    """Known pixels of the current row, and ones (B, W, C + 1)."""
    entry: Tensor | None = None
    """Contribution of the row above to this row's pixels where the image enters: (B, W, F)."""

    def copied(self) -> Self:
        """Return a copy to step from."""
        return replace(self, lines=self.lines.copied())


class WholePixels(ImageSource, Source):
    """Square images in raster order, N = H W, drawn by a ``PixelMixture``, with steps from row caches.

    An element is the pixel's ``colours`` channels, 0 to ``levels`` - 1 each, as one integer in base
    ``levels``, the first channel most significant. Row caches store each input twice, for the row itself and
    for the rows below: more than necessary, so that stepwise scoring has the same depth at every N. A
    subclass defines ``next_row`` and ``step``.
    """

    element: ClassVar[str] = "pixel"
    multiple: int = 1
    """Divisor of the side."""
    enter: ImageEntry
    """Layer through which the image enters the stream of the steps."""

    def side(self, n: int) -> int:
        """Return the side of the image with ``n`` pixels. Raise ValueError if there is none."""
        m = self.multiple
        if m == 1:
            return square(n)
        side = isqrt(max(n, 0))
        if n < 1 or side * side != n or side % m:
            near = ", ".join(str((m * k) ** 2) for k in (side // m, side // m + 1) if k)
            raise ValueError(f"no square of {n} pixels has a side divisible by {m}; near: {near}")
        return side

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups, one pixel each."""
        self.side(n)
        return range(n + 1)

    def channels(self, f: Tensor, dtype: torch.dtype) -> Tensor:
        """Return channels (B, M, colours + 1) of elements (B, M), in ``dtype``.

        They are the values, scaled to [-1, 1], and a channel of ones that distinguishes pixels from padding.
        """
        wide = torch.promote_types(dtype, torch.float32)
        values = unpack(f, self.levels, self.colours).to(wide) * (2 / (self.levels - 1)) - 1
        return pad(values.to(dtype), (0, 1), value=1.0)

    def known(self, state: Raster, before: Tensor) -> None:
        """Update the state with the pixel just drawn, (B, C + 1); by default do nothing."""

    @abstractmethod
    def next_row(self, state: Raster) -> None:
        """Begin a row, while ``state.image`` is still the row above, if any, and ``state.entry`` is this row's."""

    @abstractmethod
    def step(self, state: Raster, x: Tensor) -> Tensor:
        """Return the parameters (B, P) of pixel ``state.at`` from its input (B, F)."""

    def extend(self, state: Raster, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Raster]:
        """Return the parameters of pixels g0 .. g1-1, one step each, and the advanced state."""
        return torch.stack([self._next(state, f) for _ in range(g0, g1)], dim=1), state

    def _next(self, state: Raster, f: Tensor) -> Tensor:
        at, ready, before = state.at, state.lines.ready, None
        column, like = at % state.side, self.enter.above.gain
        if at:
            assert state.image is not None
            before = self.channels(f[:, at - 1 : at], like.dtype)[:, 0]
            state.image[:, (at - 1) % state.side] = before
            self.known(state, before)
        if column == 0:
            state.entry = self.enter.row(state.image, state.batch, state.side, ready)
            self.next_row(state)
            state.image = like.new_zeros(state.batch, state.side, self.colours + 1)
        assert state.entry is not None
        x = self.enter.step(state.entry, before if column else None, column, ready)
        params = self.step(state, steady(x) if self.backend == COMPILE else x)
        state.at += 1
        return params

    def rewind(self, state: Raster, mark: tuple[int, Raster], f: Tensor, g: int) -> Raster:
        """Move the position back within a row; across rows return to the mark's copy."""
        at, kept = mark
        here, there, begun = ((pixel - 1) // state.side for pixel in (g, at, state.at))
        if here not in (there, begun):
            rewound: Raster = super().rewind(state, mark, f, g)
            return rewound
        state = state if here == begun else kept.copied()
        state.at = g
        return state

    def arranged(self, x: Tensor) -> Tensor:
        """Return the levels (B, H, W, C) of pixels in raster order."""
        return super().arranged(unpack(x, self.levels, self.colours))

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real images as pixels in raster order, and their class if there is one."""
        pictures, context = self.pictures(self.side(n), rows, seed, data)
        return pack(pictures, self.levels).reshape(len(rows), n), context

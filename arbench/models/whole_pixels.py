"""What models share whose elements are whole pixels, all channels in one integer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from arbench.distributions.pixel_mixture import pack, unpack
from arbench.models.base import Context
from arbench.models.images import ImageSource, square


class WholePixels(ImageSource):
    """Mixin of ``Source`` for square images in raster order, N = H W, as a ``PixelMixture`` draws them.

    An element is the pixel's ``colours`` channels, 0 to ``levels`` - 1 each, as one integer in base
    ``levels``, the first channel most significant.
    """

    element: ClassVar[str] = "pixel"
    multiple: int = 1
    """What the side is a multiple of."""

    def side(self, n: int) -> int:
        """Height and width of the image with ``n`` pixels. Raises ValueError if there is none."""
        side, m = square(n), self.multiple
        if side % m:
            near = ", ".join(str(m * m * k * k) for k in (side // m, side // m + 1) if k)
            raise ValueError(f"no square of {n} pixels has a side that {m} divides; near: {near}")
        return side

    def schedule(self, n: int) -> Sequence[int]:
        self.side(n)
        return range(n + 1)

    def channels(self, f: Tensor, dtype: torch.dtype) -> Tensor:
        """Values in [-1, 1] of elements (B, M), and a channel of ones that tells them from padding:
        (B, M, colours + 1)."""
        wide = torch.promote_types(dtype, torch.float32)
        values = unpack(f, self.levels, self.colours).to(wide) * (2 / (self.levels - 1)) - 1
        return pad(values.to(dtype), (0, 1), value=1.0)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        pictures, context = self.pictures(self.side(n), rows, seed, data)
        return pack(pictures, self.levels).reshape(len(rows), n), context

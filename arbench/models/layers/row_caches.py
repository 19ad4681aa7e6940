"""Row caches of an image: each convolution's last row, and the row that is being filled.

Within a row memory is written from left to right, and a new row is new memory. So a copy can share it: what
is written after the copy lies to the right, and is overwritten before it is read.

Source: Ramachandran et al., *Fast Generation for Convolutional Autoregressive Models*, 2017,
arXiv:1704.06001, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from arbench.backends.compiling import outermost
from arbench.models.layers.shifted import Conv, Spot, beside
from arbench.models.layers.weight_norm import FoldedWeights


@dataclass
class Rows:
    """Cache of convolutions over whole rows, one row after the other."""

    ready: FoldedWeights
    before: dict[Conv, Tensor] = field(default_factory=dict)
    """Each convolution's inputs in the row above (B, W, C); no entry before the first row."""

    def copied(self) -> Self:
        """Return a copy to step from."""
        return replace(self, before=dict(self.before))

    def __call__(self, conv: Conv, x: Tensor) -> Tensor:
        """Convolve the next row x (B, W, C): return (B, W / stride, outputs)."""
        above = self.before.get(conv)
        self.before[conv] = x
        rows = [torch.zeros_like(x) if above is None else above, x]
        return self.ready(conv, beside(rows, conv.kernel, conv.stride))


@dataclass
class Lines:
    """Cache of down-right convolutions over single pixels.

    The contribution of the row above is computed once per row, so a step reads only the lower half of each
    kernel's weights. Inputs are stored twice, side by side as taps of their own column and of the next. The
    number of operations from an input to an output is the same in both rows, so stepwise scoring has the same
    depth at every N.
    """

    ready: FoldedWeights
    compiled: bool = False
    """True if pixels are compiled: the strides of a pixel's part then do not depend on the width."""
    lines: dict[Conv, Tensor] = field(default_factory=dict)
    """Each convolution's inputs in this row (B, 1 + 2 W, C): a zero, then each input twice."""
    above: dict[Conv, Tensor] = field(default_factory=dict)
    """Contribution of the row above to outputs of this row: (B, W / stride, outputs)."""
    here: dict[Conv, Tensor] = field(default_factory=dict)
    """Weights of the taps in this row (2 C, outputs)."""

    def copied(self) -> Self:
        """Return a copy to step from."""
        return replace(self, lines=dict(self.lines), above=dict(self.above))

    def next_row(self, conv: Conv, batch: int, width: int, more: Tensor | None = None) -> None:
        """Begin a row of a convolution.

        Args:
            conv: the convolution.
            batch: number of images B.
            width: number of columns W.
            more: addition to all outputs instead of the bias, broadcast to (B, W / stride, outputs).
        """
        weight, bias = self.ready[conv]
        top, self.here[conv] = weight.chunk(2)
        line, more = self.lines.get(conv), bias if more is None else more
        if line is None:
            self.above[conv] = more.expand(batch, width // conv.stride, -1)
        else:
            windows = line[:, :-1].unflatten(1, (width, 2))[:, :: conv.stride].flatten(2)
            self.above[conv] = torch.baddbmm(more, windows, top.expand(batch, -1, -1))
        if self.compiled:
            self.above[conv] = outermost(self.above[conv])
        self.skip_row(conv, batch, width)

    def skip_row(self, conv: Conv, batch: int, width: int) -> None:
        """Begin a row in which a convolution of stride 2 has no outputs."""
        line = self.ready[conv][0].new_zeros(batch, 1 + 2 * width, conv.inputs)
        self.lines[conv] = outermost(line) if self.compiled else line

    def spot(self, conv: Conv, column: int) -> Spot:
        """Return what a convolution reads and writes at a column."""
        return (
            self.lines[conv].narrow(1, 2 * column, 3),
            self.above[conv].select(1, column // conv.stride),
            self.here[conv],
        )

    def put(self, conv: Conv, x: Tensor, column: int) -> None:
        """Store an input (B, C) of this row."""
        self.lines[conv][:, 2 * column + 1 : 2 * column + 3] = x.unsqueeze(1)

    def at(self, conv: Conv, column: int) -> Tensor:
        """Return the output (B, outputs) at a column whose inputs are stored."""
        window = self.lines[conv][:, 2 * column : 2 * column + 2].flatten(1)
        return self.above[conv][:, column // conv.stride] + window @ self.here[conv]

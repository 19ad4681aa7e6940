"""What steps keep of an image: each convolution's last row, and the row that is being filled.

Within a row memory is written from left to right, and a new row is new memory. So a copy shares it: what is
written after the copy lies to the right, and is written again before it is read.

Source: Ramachandran et al., *Fast Generation for Convolutional Autoregressive Models*, 2017,
arXiv:1704.06001, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from arbench.models.layers.shifted import Conv, beside
from arbench.models.layers.weight_norm import Ready


@dataclass
class Rows:
    """Convolutions of whole rows, one row after the other."""

    ready: Ready
    before: dict[Conv, Tensor] = field(default_factory=dict)
    """Each convolution's inputs in the row above (B, W, C); none above the first."""

    def copied(self) -> Self:
        return replace(self, before=dict(self.before))

    def __call__(self, conv: Conv, x: Tensor) -> Tensor:
        """The next row (B, W, C) to (B, W / stride, outputs)."""
        above = self.before.get(conv)
        self.before[conv] = x
        rows = [torch.zeros_like(x) if above is None else above, x]
        return self.ready(conv, beside(rows, conv.kernel, conv.stride))


@dataclass
class Lines:
    """Down-right convolutions of single pixels: what the row above adds is computed once a row.

    So a step reads the lower half of each kernel's weights only. Inputs are kept twice, side by side as the
    taps of their column and of the next. From an input to an output there are as many operations whichever
    of the two rows it lies in, so that scoring step by step has one depth at every N.
    """

    ready: Ready
    lines: dict[Conv, Tensor] = field(default_factory=dict)
    """Each convolution's inputs in this row (B, 1 + 2 W, C): a zero, then each twice."""
    above: dict[Conv, Tensor] = field(default_factory=dict)
    """What the row above adds to outputs of this row: (B, W / stride, outputs)."""
    here: dict[Conv, Tensor] = field(default_factory=dict)
    """The weights of the taps in this row (2 C, outputs)."""

    def copied(self) -> Self:
        return replace(self, lines=dict(self.lines), above=dict(self.above))

    def next_row(self, conv: Conv, batch: int, width: int, more: Tensor | None = None) -> None:
        """Begins a row of ``width`` columns.

        Args:
            more: added to all outputs instead of the bias, broadcast to (B, W / stride, outputs).
        """
        weight, bias = self.ready.of[conv]
        top, self.here[conv] = weight.chunk(2)
        line, more = self.lines.get(conv), bias if more is None else more
        if line is None:
            self.above[conv] = more.expand(batch, width // conv.stride, -1)
        else:
            windows = line[:, :-1].unflatten(1, (width, 2))[:, :: conv.stride].flatten(2)
            self.above[conv] = torch.baddbmm(more, windows, top.expand(batch, -1, -1))
        self.skip_row(conv, batch, width)

    def skip_row(self, conv: Conv, batch: int, width: int) -> None:
        """Begins a row that a convolution of stride 2 gives no outputs for."""
        self.lines[conv] = self.ready.of[conv][0].new_zeros(batch, 1 + 2 * width, conv.inputs)

    def put(self, conv: Conv, x: Tensor, column: int) -> None:
        """Sets an input (B, C) of this row."""
        self.lines[conv][:, 2 * column + 1 : 2 * column + 3] = x.unsqueeze(1)

    def at(self, conv: Conv, column: int) -> Tensor:
        """The output (B, outputs) at a column of inputs that is there."""
        window = self.lines[conv][:, 2 * column : 2 * column + 2].flatten(1)
        return self.above[conv][:, column // conv.stride] + window @ self.here[conv]

"""Shifted convolutions, the gated residual layers made of them, and how an image enters them.

Channels come last, (B, H, W, C); a convolution is a product with its taps side by side, top row first. Layers
read their weights folded: ``ready`` is a ``FoldedWeights`` of the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, pad

from arbench.backends.compiling import compilable
from arbench.models.base import Switched
from arbench.models.layers.weight_norm import DIRECTION_STD, FoldedWeights, WeightNormed


class Extent(NamedTuple):
    """Extent of a convolution: its own row and rows above, its own column and columns to both sides."""

    rows: int
    left: int
    right: int

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.left + 1 + self.right


DOWN, DOWN_RIGHT, POINT = Extent(2, 1, 1), Extent(2, 1, 0), Extent(1, 0, 0)
"""Kernels of the stream of the rows above, of the other stream, and of 1x1 layers."""


def concat_elu(x: Tensor) -> Tensor:
    """Return ELU of the channels and of their negatives, (.., C) to (.., 2 C)."""
    return elu(torch.cat([x, -x], dim=-1))


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "concat_elu": (concat_elu, 2),
    "elu": (elu, 1),
}
"""Activations by name, with the factor by which each widens its input."""


def beside(rows: Sequence[Tensor], kernel: Extent, stride: int = 1) -> Tensor:
    """Return taps (.., W / stride, taps C) of a kernel from its rows (.., W, C), top first, zero-padded."""
    padded, width = [pad(row, (0, 0, kernel.left, kernel.right)) for row in rows], rows[0].shape[-2]
    return torch.cat([row[..., j : j + width : stride, :] for row in padded for j in range(kernel.width)], -1)


def taps(x: Tensor, kernel: Extent, stride: int = 1) -> Tensor:
    """Return taps (B, H / stride, W / stride, taps C) of a kernel everywhere on x (B, H, W, C)."""
    above, height = pad(x, (0, 0, 0, 0, kernel.rows - 1, 0)), x.shape[1]
    return beside([above[:, i : i + height : stride] for i in range(kernel.rows)], kernel, stride)


def down(x: Tensor) -> Tensor:
    """Shift an image (B, H, W, C) one row down, with zeros in the first row."""
    return pad(x[:, :-1], (0, 0, 0, 0, 1, 0))


def right(x: Tensor) -> Tensor:
    """Shift rows (.., W, C) one column to the right, with zeros in the first column."""
    return pad(x[..., :-1, :], (0, 0, 1, 0))


class Conv(WeightNormed):
    """A convolution by a kernel: (taps C) to outputs, at every ``stride``-th row and column."""

    def __init__(
        self,
        kernel: Extent,
        inputs: int,
        outputs: int,
        generator: torch.Generator,
        *,
        scale: float = 1.0,
        stride: int = 1,
    ) -> None:
        super().__init__(kernel.rows * kernel.width * inputs, outputs, generator, scale=scale)
        self.kernel, self.stride, self.inputs = kernel, stride, inputs

    def forward(self, x: Tensor, ready: FoldedWeights) -> Tensor:
        """Convolve x (B, H, W, C): return (B, H / stride, W / stride, outputs)."""
        return ready(self, taps(x, self.kernel, self.stride))


class Grow(WeightNormed):
    """A transposed convolution of stride 2: each pixel adds to as many pixels as the kernel has taps.

    It doubles rows and columns; the taps of ``DOWN`` overlap at every other column, those of ``DOWN_RIGHT``
    nowhere.
    """

    def __init__(self, kernel: Extent, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__(inputs, outputs, generator, spread=kernel.rows * kernel.width)
        self.kernel, self.outputs = kernel, outputs

    def assemble(self, made: Tensor) -> Tensor:
        """Return two rows (.., 2, 2 W, outputs) from the taps of one row (.., W, taps outputs)."""
        taps = made.unflatten(-1, (2, self.kernel.width, self.outputs))
        columns = taps.unbind(-2)
        if self.kernel.right:
            before, even, odd = columns
            odd = odd + pad(before[..., 1:, :, :], (0, 0, 0, 0, 0, 1))
            columns = even, odd
        return torch.stack(columns, dim=-3).flatten(-4, -3).movedim(-2, -3)

    def forward(self, x: Tensor, ready: FoldedWeights) -> Tensor:
        """Double x (B, H, W, C): return (B, 2 H, 2 W, outputs)."""
        return ready(self, x).flatten(1, 2)


Spot = tuple[Tensor, Tensor, Tensor]
"""A convolution at a pixel of its row cache: the inputs at its left and twice its own, (B, 3, C), the contribution of
the row above (B, outputs), and the weights of the taps in this row (2 C, outputs)."""


class GatedResnet(Switched):
    """x + a * sigmoid(b), where (a, b) are the result of two convolutions, each after an activation.

    The other stream and short-cuts join between the two through a 1x1 product; the class adds to (a, b). The
    second convolution starts with outputs a tenth as large. Class weights start as N(0, 0.05^2).

    Source: Salimans et al., *PixelCNN++*, 2017, section 2, and its published code.

    Args:
        kernel: kernel of both convolutions.
        width: channels of x.
        activation: a key of ``ACTIVATIONS``.
        generator: random numbers for the initial weights.
        extra: activated channels that join between the convolutions; 0 for none.
        classes: size of the class's alphabet; 0 for none.

    Raises:
        ValueError: there is no such activation.
    """

    def __init__(
        self,
        kernel: Extent,
        width: int,
        activation: str,
        generator: torch.Generator,
        *,
        extra: int = 0,
        classes: int = 0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation '{activation}'; available: {', '.join(ACTIVATIONS)}")
        self.act, wider = ACTIVATIONS[activation]
        self.first = Conv(kernel, wider * width, width, generator)
        self.join = WeightNormed(extra, width, generator) if extra else None
        self.second = Conv(kernel, wider * width, 2 * width, generator, scale=0.1)
        self.by_class = None
        if classes:
            weight = torch.empty(classes, 2 * width).normal_(0, DIRECTION_STD, generator=generator)
            self.by_class = nn.Parameter(weight)

    def run(self, x: Tensor, active: Tensor, conv: Callable[[Conv, Tensor], Tensor], extra: Tensor | None) -> Tensor:
        """Run the layer on an image, a row or a pixel, whichever ``conv`` convolves.

        Args:
            x: input (.., width).
            active: ``act(x)``.
            conv: function of a convolution and its activated input; it includes the class's part.
            extra: addition between the two convolutions, (.., width).
        """
        hidden = conv(self.first, active)
        a, b = conv(self.second, self.act(hidden if extra is None else hidden + extra)).chunk(2, dim=-1)
        return torch.addcmul(x, a, b.sigmoid())

    @compilable()
    def at_pixel(
        self,
        x: Tensor,
        active: Tensor,
        first: Spot,
        second: Spot,
        skip: Tensor | None = None,
        join: Tensor | None = None,
    ) -> Tensor:
        """Run the layer on a pixel, and write the inputs of its convolutions into their row caches.

        On the backend "compile" this is a graph, which all layers of one shape share: a whole step is one of several
        programs, since a coarser resolution is run only where one of its pixels begins.

        Args:
            x: input (B, width).
            active: ``act(x)``.
            first: the first convolution.
            second: the second convolution.
            skip: activated short-cut (B, ..), if there is one.
            join: weights of the short-cut (.., width).
        """
        hidden = _convolved(first, active)
        if skip is not None and join is not None:
            hidden = torch.addmm(hidden, skip, join)
        a, b = _convolved(second, self.act(hidden)).chunk(2, dim=-1)
        return torch.addcmul(x, a, b.sigmoid())


def _convolved(spot: Spot, x: Tensor) -> Tensor:
    window, above, weight = spot
    window.narrow(1, 1, 2).copy_(x.unsqueeze(1))
    return above + window.narrow(1, 0, 2).flatten(1) @ weight


class ImageEntry(nn.Module):
    """Entry of the image into the down-right stream: 1x3 over the row above plus 2x1 over the column before.

    Args:
        inputs: channels of the image, including the channel of ones that distinguishes it from padding.
        width: channels of the stream.
        generator: random numbers for the initial weights.
    """

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.above = Conv(Extent(1, 1, 1), inputs, width, generator)
        self.before = Conv(Extent(2, 0, 0), inputs, width, generator)

    def forward(self, x: Tensor, ready: FoldedWeights) -> Tensor:
        """Return the stream's input (B, H, W, width) from the image x (B, H, W, inputs)."""
        return down(self.above(x, ready)) + right(self.before(x, ready))

    def row(self, above: Tensor | None, batch: int, width: int, ready: FoldedWeights) -> Tensor:
        """Return the contribution (B, W, width) of the row ``above`` (B, W, inputs), None for the first row."""
        weight, bias = ready[self.before]
        top, _ = weight.chunk(2)
        if above is None:
            return right(bias.expand(batch, width, -1))
        return ready(self.above, beside([above], self.above.kernel)) + right(above @ top + bias)

    def step(self, row: Tensor, left: Tensor | None, column: int, ready: FoldedWeights) -> Tensor:
        """Return a pixel (B, width) of such a row, given the previous pixel (B, inputs) of the row, if any."""
        weight, _ = ready[self.before]
        here = row[:, column]
        return here if left is None else torch.addmm(here, left, weight.chunk(2)[1])

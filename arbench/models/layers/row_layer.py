"""A layer of PixelRNN's Row LSTM: a whole row of an image from the row above."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.models.layers.masked import Masked, bounds, group_mask


def neighbours(row: Tensor) -> Tensor:
    """Return left, centre and right of each pixel, (B, W, 3 H), from a row (B, W + 2, H) with padding."""
    return torch.cat([row[:, :-2], row[:, 1:-1], row[:, 2:]], dim=-1)


def cell(a: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Return h and c from the gates o, f, i, g side by side (.., 4 H) and the previous c (.., H)."""
    o, f, i, g = a.chunk(4, dim=-1)
    c = f.sigmoid() * before + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@dataclass
class StepWeights:
    """A layer's weights for steps: colour by colour, contiguous."""

    inputs: list[Tensor]
    """Weights from the layer's inputs to the gates, by colour."""
    outputs: list[tuple[Tensor, Tensor]]
    """Weights and biases from h to the layer's outputs, by colour."""
    above: Tensor
    """Weights from the row above to the gates."""
    bias: Tensor
    """Biases of the gates."""


Place = tuple[Tensor, Tensor, Tensor, Tensor]
"""A pixel's part of a row: h (B, H), c (B, H), the row above's gates (B, 4 H) and its c (B, H)."""


@dataclass
class RowState:
    """A layer's row so far, and the contributions of the row above."""

    hidden: Tensor
    """State h of this row, padded on both sides: (B, W + 2, H)."""
    cell: Tensor
    """State c of this row: (B, W, H)."""
    from_above: Tensor
    """The state-to-state part of this row's gates, bias included, colour by colour: (B, W, 4 H)."""
    cell_above: Tensor
    """State c of the row above: (B, W, H)."""
    ready: StepWeights = field(metadata={"constant": True})


class RowLayer(nn.Module):
    """x + W h of an LSTM over rows: gates = K_is * x_r + K_ss * h_{r-1} give c and h of row r.

    K_is is 1 x 3 under mask B: it reads the pixel to the left, and its own pixel's colours up to the current
    one. K_ss is 1 x 3 over the row above, without a mask. x has 2 H channels, h and c have H, in ``colours``
    groups. Channels come last; convolutions are products with the taps side by side.

    Source: van den Oord et al., *Pixel Recurrent Neural Networks*, 2016, sections 3.1, 3.3 and 3.4.
    """

    def __init__(self, width: int, colours: int, generator: torch.Generator) -> None:
        super().__init__()
        self.width = width
        self.split, self.wide = bounds(width, colours), bounds(2 * width, colours)
        gates = torch.ones(1, 4)
        centre = torch.kron(gates, group_mask(self.wide, self.split, strict=False))
        self.inputs = Masked(torch.cat([torch.ones(2 * width, 4 * width), centre]), generator)
        self.above = Masked(torch.ones(3 * width, 4 * width), generator)
        self.outputs = Masked(group_mask(self.split, self.wide, strict=False), generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (B, H, W, 2 H) from inputs of that shape: all of a row at once, row after row."""
        batch, height, side, _ = x.shape
        from_inputs = self.inputs(torch.cat([pad(x, (0, 0, 1, 0))[:, :, :-1], x], dim=-1))
        h = x.new_zeros(batch, side, self.width)
        c, rows = h, []
        for r in range(height):
            h, c = cell(from_inputs[:, r] + self.above(neighbours(pad(h, (0, 0, 1, 1)))), c)
            rows.append(h)
        return x + self.outputs(torch.stack(rows, dim=1))

    def start(self, batch: int, side: int) -> RowState:
        """Return the state above the first row: zeros."""
        both = [[gate * self.width + i for gate in range(4) for i in range(lo, hi)] for lo, hi in pairwise(self.split)]
        order = [i for group in both for i in group]
        ready = StepWeights(
            [self.inputs.weight[:, group].contiguous() for group in both],
            [
                (self.outputs.weight[:hi, lo:up].contiguous(), self.outputs.bias[lo:up])
                for hi, (lo, up) in zip(self.split[1:], pairwise(self.wide), strict=True)
            ],
            self.above.weight[:, order],
            (self.inputs.bias + self.above.bias)[order],
        )
        new = self.inputs.weight.new_zeros
        zero = new(batch, side, self.width)
        return RowState(new(batch, side + 2, self.width), zero, new(batch, side, 4 * self.width), zero, ready)

    def next_row(self, state: RowState) -> None:
        """Advance to the next row, all columns at once."""
        state.from_above = neighbours(state.hidden) @ state.ready.above + state.ready.bias
        state.cell_above = state.cell
        state.hidden, state.cell = torch.zeros_like(state.hidden), torch.zeros_like(state.cell)

    def place(self, state: RowState, column: int) -> Place:
        """Return a pixel's part of the state of this row."""
        return (
            state.hidden.select(1, 1 + column),
            state.cell.select(1, column),
            state.from_above.select(1, column),
            state.cell_above.select(1, column),
        )

    def step(self, place: Place, x: Tensor, ready: StepWeights, colour: int) -> Tensor:
        """Return a colour's outputs (B, ..) at a pixel, and write its h and c.

        Args:
            place: the pixel's part of the state of this row.
            x: inputs at the pixel and the one to its left: (B, 2, 2 H).
            ready: the weights.
            colour: number of the colour.
        """
        hidden, kept, above, before = place
        lo, hi = self.split[colour], self.split[colour + 1]
        a = torch.addmm(above[:, 4 * lo : 4 * hi], x.flatten(1), ready.inputs[colour])
        h, c = cell(a, before[:, lo:hi])
        kept[:, lo:hi].copy_(c)
        hidden[:, lo:hi].copy_(h)
        weight, bias = ready.outputs[colour]
        out = torch.addmm(bias, hidden[:, :hi], weight)
        return out + x[:, 1, self.wide[colour] : self.wide[colour + 1]]

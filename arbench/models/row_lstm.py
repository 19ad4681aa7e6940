"""PixelRNN's Row LSTM: sub-pixels of an image in raster order, scored a row at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, outermost
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events import images
from arbench.models.layers.masked import Masked, bounds, group_mask
from arbench.models.layers.row_layer import Place, RowLayer, RowState


@dataclass
class _State:
    at: int
    side: int
    pictures: deque[Tensor]
    """Rows above that the first convolution reads, padded: (B, W + 2 reach, C)."""
    line: Tensor
    """Current row of the picture, padded on both sides: (B, W + 2 reach, C)."""
    from_above: Tensor
    """Contribution of the rows above to the first convolution, bias included: (B, W, 2 H)."""
    features: list[Tensor]
    """Current row of each layer's inputs and, last, of the head's, padded on the left: (B, 1 + W, 2 H)."""
    rows: list[RowState]
    pixel: Tensor
    """The head's hidden features of this pixel: (B, F)."""
    first: list[Tensor] = field(metadata={"constant": True})
    """The first convolution's weights within a row, by colour."""
    head: list[list[tuple[Tensor, Tensor]]] = field(metadata={"constant": True})
    """Weight and bias of the head's two products, by colour."""


class RowLSTM(images.ImageSource, Source):
    """An element is one sub-pixel, in order of rows, columns, colours: N = C H W on a square image.

    A convolution under mask A is followed by layers of Row LSTM with residual connections, and by two
    products, each after a ReLU, to the softmax of each colour. Scoring takes one step per row, O(sqrt N),
    since a row's state needs only the state of the row above; sampling takes N steps. A step keeps one row of
    each layer's state. The receptive field widens by one column per row above, so that a pixel does not see
    the whole picture above it.

    Presets:
        cifar10: 12 layers, H=128, F=1024, 256-way softmax, 3 colours (published at 32x32).
        imagenet32: 12 layers, H=384, F=1024.
        mnist: 7 layers, H=16, F=32, grey, two levels; published with Diagonal BiLSTMs instead of Row LSTMs,
            and with a sigmoid, which a softmax over two levels equals.
        digits: 3 layers, H=32, F=32, 17-way softmax, grey, on the UCI digits' own levels.
        tiny: for tests.

    Source: van den Oord et al., *Pixel Recurrent Neural Networks*, 2016, table 1, sections 3.1 to 3.5 and
    5. Weights start with variance 1/fan_in of the unmasked inputs, biases at zero.

    Args:
        layers: layers of Row LSTM.
        width: H, the units of a layer; there are 2 H channels between layers.
        head: F, the features between the last two products.
        colours: sub-pixels of a pixel.
        levels: values of a sub-pixel.
        kernel: width of the first convolution, odd.
        seed: seed of the initial weights.

    Raises:
        ValueError: the kernel is even.
    """

    family = "spatial"
    citation = "van den Oord et al. 2016, arXiv:1601.06759"
    default_preset = "digits"
    presets = {
        "cifar10": dict(layers=12, width=128, head=1024, colours=3, levels=256),
        "imagenet32": dict(layers=12, width=384, head=1024, colours=3, levels=256),
        "mnist": dict(layers=7, width=16, head=32, colours=1, levels=2),
        "digits": dict(layers=3, width=32, head=32, colours=1, levels=17),
        "tiny": dict(layers=2, width=8, head=7, colours=3, levels=2, kernel=5),
    }
    claims = {
        ("score", "parallel"): Claim("sqrt N", "N"),
        ("score", "sequential"): Claim("sqrt N", "N"),
        ("sample", "naive"): Claim("<= N^2", "N^2"),
        ("sample", "cached"): Claim("N", "N"),
        ("sample", "speculative"): Claim("<= N^2", "<= N^2"),
        ("sample", "rejection"): Claim("<= N^2", "<= N^2"),
        **at_most("N^2", "N^2"),
    }

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        head: int,
        colours: int,
        levels: int,
        kernel: int = 7,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        g = torch.Generator().manual_seed(seed)
        self.colours, self.levels, self.width = colours, levels, width
        self.kernel, self.reach = kernel, kernel // 2
        self.distribution = Categorical(levels)
        self.wide = bounds(2 * width, colours)
        centre = group_mask(bounds(colours, colours), self.wide, strict=True)
        elsewhere = torch.ones(self.reach * (kernel + 1) * colours, 2 * width)
        self.first = Masked(torch.cat([elsewhere, centre]), g)
        self.layers = nn.ModuleList(RowLayer(width, colours, g) for _ in range(layers))
        self.features_of = bounds(head, colours)
        self.params_of = [levels * i for i in range(colours + 1)]
        self.hidden = Masked(group_mask(self.wide, self.features_of, strict=False), g)
        self.params = Masked(group_mask(self.features_of, self.params_of, strict=False), g)
        sides = (4, 6, 8, 12, 16) if colours > 1 else (8, 12, 16, 24, 32)
        self.ladder = [colours * side * side for side in sides]
        self.count_ladder = [colours * side * side for side in (2, 3, 4, 5, 6)]

    def _layers(self) -> list[RowLayer]:
        return cast(list[RowLayer], list(self.layers))

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "layers": max(config["layers"] // 4, 1), "width": max(config["width"] // 2, 6)}

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups, one element each."""
        self.side(n)
        return range(n + 1)

    def _scaled(self, x: Tensor) -> Tensor:
        return x.to(self.hidden.weight.dtype) * (2 / (self.levels - 1)) - 1

    @compilable()
    def forward(self, f: Tensor, code: Context) -> Tensor:
        """Return the parameters (B, N, P) of all elements, row after row."""
        side, r = self.side(f.shape[1]), self.reach
        padded = pad(self._scaled(f).view(-1, side, side, self.colours), (0, 0, r, r, r, 0))
        above = [(i, j) for i in range(r) for j in range(self.kernel)]
        here = [(r, j) for j in range(r + 1)]
        taps = [padded[:, i : i + side, j : j + side] for i, j in above + here]
        x = self.first(torch.cat(taps, dim=-1))
        for layer in self.layers:
            x = layer(x)
        params = self.params(torch.relu(self.hidden(torch.relu(x))))
        return params.reshape(f.shape[0], -1, self.levels)

    def start(self, batch: int, n: int, code: Context) -> _State:
        """Return the state before the first element."""
        side, layers = self.side(n), self._layers()
        new = self.hidden.weight.new_zeros
        here = self.first.weight[self.reach * self.kernel * self.colours :]
        head = [
            [
                (product.weight[: inputs[k + 1], lo:hi].contiguous(), product.bias[lo:hi])
                for k, (lo, hi) in enumerate(pairwise(outputs))
            ]
            for product, inputs, outputs in (
                (self.hidden, self.wide, self.features_of),
                (self.params, self.features_of, self.params_of),
            )
        ]
        lines = [new(batch, side + 2 * self.reach, self.colours) for _ in range(self.reach + 1)]
        return _State(
            at=0,
            side=side,
            pictures=deque(lines[1:]),
            line=lines[0],
            from_above=new(batch, side, 2 * self.width),
            features=[],
            rows=[layer.start(batch, side) for layer in layers],
            pixel=new(batch, self.features_of[-1]),
            first=[here[:, lo:hi].contiguous() for lo, hi in pairwise(self.wide)],
            head=head,
        )

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        steps = [self._step(state, f[:, g - 1 : g] if g else None) for g in range(g0, g1)]
        return torch.stack(steps, dim=1), state

    def _step(self, state: _State, before: Tensor | None) -> Tensor:
        """Return the parameters (B, P) of the next sub-pixel, given the previous one (B, 1)."""
        pixel, colour = divmod(state.at, self.colours)
        column = pixel % state.side
        if before is not None:
            was, of = divmod(state.at - 1, self.colours)
            state.line[:, self.reach + was % state.side, of : of + 1].copy_(self._scaled(before))
        if column == 0 and colour == 0:
            self._next_row(state)
        state.at += 1
        return self._pixel(
            state.line.narrow(1, column, self.reach + 1),
            state.from_above.select(1, column),
            [features.narrow(1, column, 2) for features in state.features],
            [layer.place(row, column) for layer, row in zip(self._layers(), state.rows, strict=True)],
            state,
            colour,
        )

    @compilable()
    def _pixel(
        self,
        line: Tensor,
        above: Tensor,
        features: list[Tensor],
        places: list[Place],
        state: _State,
        colour: int,
    ) -> Tensor:
        """Return the parameters (B, P) of a sub-pixel, and write what it adds to the state.

        Args:
            line: pixels that the first convolution reads in this row, (B, reach + 1, C).
            above: what the first convolution made of the rows above, (B, 2 H).
            features: each layer's inputs and last the output, at the pixel and the one to its left: (B, 2, 2 H).
            places: the pixel's part of each layer's state.
            state: the state, for weights and the features between the last two products.
            colour: number of the colour.
        """
        lo, hi = self.wide[colour], self.wide[colour + 1]
        x = torch.addmm(above[:, lo:hi], line.flatten(1), state.first[colour])
        for layer, own, place, row in zip(self._layers(), features, places, state.rows, strict=False):
            own[:, 1, lo:hi].copy_(x)
            x = layer.step(place, own, row.ready, colour)
        features[-1][:, 1, lo:hi].copy_(x)
        (weight, bias), (last_weight, last_bias) = (product[colour] for product in state.head)
        hidden = torch.relu(torch.addmm(bias, torch.relu(features[-1][:, 1, :hi]), weight))
        upto = self.features_of[colour + 1]
        state.pixel[:, self.features_of[colour] : upto].copy_(hidden)
        return torch.addmm(last_bias, state.pixel[:, :upto], last_weight)

    def _next_row(self, state: _State) -> None:
        """Advance every layer to the next row, all columns at once."""
        if state.at:
            state.pictures.append(state.line)
            state.pictures.popleft()
            state.line = torch.zeros_like(state.line)
        taps = [row[:, j : j + state.side] for row in state.pictures for j in range(self.kernel)]
        weight = self.first.weight[: self.reach * self.kernel * self.colours]
        state.from_above = torch.cat(taps, dim=-1) @ weight + self.first.bias
        for layer, row in zip(self._layers(), state.rows, strict=True):
            layer.next_row(row)
        batch = len(state.line)
        state.features = [
            state.line.new_zeros(batch, 1 + state.side, 2 * self.width) for _ in range(len(self.layers) + 1)
        ]
        if self.backend == COMPILE:
            state.line, state.from_above = outermost(state.line), outermost(state.from_above)
            state.features = [outermost(features) for features in state.features]
            for row in state.rows:
                row.hidden, row.cell = outermost(row.hidden), outermost(row.cell)
                row.from_above, row.cell_above = outermost(row.from_above), outermost(row.cell_above)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real images as sub-pixels in order of rows, columns and colours."""
        pictures, context = self.pictures(self.side(n), rows, seed, data)
        return pictures.reshape(len(rows), n), context

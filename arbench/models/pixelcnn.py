"""Gated PixelCNN: sub-pixels of an image in raster order, from two stacks of masked convolutions."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, outermost, sized, steady
from arbench.distributions import by_name
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events import images
from arbench.models.layers.masked import Masked, Offsets, TwoStackLayer, bounds, gate, group_mask


@dataclass
class _Columns:
    """One colour's columns of a layer's products, contiguous, for the step of a single sub-pixel."""

    horizontal: Tensor
    out: Tensor
    out_bias: Tensor


@dataclass
class _State:
    at: int
    width: int
    rows: list[deque[Tensor]]
    """Each layer's vertical inputs: the last reach + 1 rows, (B, W + 2 reach, C)."""
    across: list[Tensor]
    """Each layer's vertical contribution to this row, colour by colour: (B, W, 2 C)."""
    lines: list[Tensor]
    """Each layer's horizontal inputs in this row, and last the output: (B, reach + W, C)."""
    gated: list[Tensor]
    """Each layer's gate output at this pixel, and the head's hidden features: (B, C)."""
    columns: list[list[_Columns]] = field(metadata={"constant": True})
    crossing: list[tuple[Tensor, Tensor]] = field(metadata={"constant": True})
    """Weight and offset (class and biases included) of each layer's vertical contribution to this row."""
    vertical: list[Tensor | None] = field(metadata={"constant": True})
    """The class's addition to each layer's vertical convolution: (B, 1, 2 C)."""
    head: list[list[tuple[Tensor, Tensor]]] = field(metadata={"constant": True})
    """Weight and bias of the head's two products, by colour."""


class PixelCNN(images.ImageSource, Source):
    """An element is one sub-pixel, in order of rows, columns, colours: N = C H W on a square image.

    There is no blind spot: the vertical stack reads every row above through a kernel of (k // 2 + 1) x k; the
    horizontal stack reads its own row to the left and the vertical stack. The first layer's kernel is 7 wide,
    the others' 3. Colours condition on the earlier ones of the same pixel through channel groups. With
    ``raster="columns"`` the order is columns, rows, colours: network and events are those of the transposed
    picture.

    An element is a level 0 to ``levels`` - 1 with ``loss="softmax"`` or "discretized_logistic_mixture"; with
    the other losses it is a real number in [-1, 1]: the level dequantised by uniform noise.

    Presets:
        gated: 15 layers, 128 channels, 256-way softmax, 3 colours (published at 32x32).
        digits: 8 layers, 64 channels, 17-way softmax, grey, on the UCI digits' own levels.
        class_conditional: digits, conditioned on the digit.
        tiny, tiny_class, tiny_columns, tiny_mixture, tiny_gaussian: for tests.

    Sources: van den Oord et al., *Conditional Image Generation with PixelCNN Decoders*, 2016, section 2, with
    section 2.3 for the class; *Pixel Recurrent Neural Networks*, 2016, section 3.4, for the colour masks;
    Uria et al., *RNADE*, 2013, for dequantisation. Weights start with variance 1/fan_in of the unmasked
    inputs, embeddings of a class with variance 1, biases at zero.

    Args:
        layers: gated layers.
        channels: C, the channels of both stacks.
        colours: sub-pixels of a pixel.
        levels: values of a sub-pixel.
        kernels: kernel widths of the first and of the later layers, odd.
        loss: name of an element's distribution: a key of ``arbench.distributions.LOSSES``.
        components: components of a mixture.
        classes: 10 to condition on the digit that the picture is made of, else 0.
        raster: "rows" or "columns".
        seed: seed of the initial weights.

    Raises:
        ValueError: there is no such loss or raster, or the number of classes is neither 0 nor 10.
    """

    family = "sequential"
    citation = "van den Oord et al. 2016, arXiv:1606.05328"
    default_preset = "gated"
    presets = {
        "gated": dict(layers=15, channels=128, colours=3, levels=256),
        "digits": dict(layers=8, channels=64, colours=1, levels=17),
        "class_conditional": dict(layers=8, channels=64, colours=1, levels=17, classes=10),
        "tiny": dict(layers=2, channels=13, colours=3, levels=2, kernels=(3, 3)),
        "tiny_class": dict(layers=2, channels=6, colours=1, levels=2, kernels=(7, 7), classes=10),
        "tiny_columns": dict(layers=2, channels=7, colours=1, levels=4, kernels=(7, 7), raster="columns"),
        "tiny_mixture": dict(
            layers=2,
            channels=6,
            colours=1,
            levels=5,
            kernels=(7, 7),
            components=2,
            loss="discretized_logistic_mixture",
        ),
        "tiny_gaussian": dict(layers=2, channels=9, colours=1, levels=4, kernels=(7, 7), loss="gaussian"),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "sequential"): Claim("1", "N"),
        ("sample", "naive"): Claim("N", "N^2"),
        ("sample", "cached"): Claim("N", "N"),
        ("sample", "speculative"): Claim("<= N", "<= N^2"),
        ("sample", "rejection"): Claim("<= N", "<= N^2"),
        **at_most(),
    }

    def __init__(
        self,
        *,
        layers: int,
        channels: int,
        colours: int,
        levels: int,
        kernels: tuple[int, int] = (7, 3),
        loss: str = "softmax",
        components: int = 10,
        classes: int = 0,
        raster: str = "rows",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if raster not in ("rows", "columns"):
            raise ValueError(f"raster must be 'rows' or 'columns', got '{raster}'")
        if classes not in (0, images.DIGIT_CLASSES):
            raise ValueError(f"classes must be 0 or {images.DIGIT_CLASSES}, got {classes}")
        g = torch.Generator().manual_seed(seed)
        self.colours, self.levels, self.channels = colours, levels, channels
        self.classes, self.raster = classes, raster
        self.alphabets = {"class": classes} if classes else {}
        self.distribution = by_name(loss, levels, components)
        self.split = bounds(channels, colours)
        self.layers = nn.ModuleList(
            TwoStackLayer(kernels[i > 0], channels if i else colours, channels, colours, i == 0, g, classes)
            for i in range(layers)
        )
        self.params_of = [self.distribution.params_width * i for i in range(colours + 1)]
        self.hidden = Masked(group_mask(self.split, self.split, strict=False), g)
        self.params = Masked(group_mask(self.split, self.params_of, strict=False), g)
        sides = (4, 6, 8, 12, 16) if colours > 1 else (8, 12, 16, 24, 32)
        self.ladder = [colours * side * side for side in sides]
        self.count_ladder = [colours * side * side for side in (2, 3, 4, 5, 6)]

    def _layers(self) -> list[TwoStackLayer]:
        return [layer for layer in self.layers if isinstance(layer, TwoStackLayer)]

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {
            **config,
            "layers": max(config["layers"] // 5, 1),
            "channels": max(config["channels"] // 2, 6),
        }

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups, one element each."""
        self.side(n)
        return range(n + 1)

    def _scaled(self, x: Tensor) -> Tensor:
        x = x.to(self.hidden.weight.dtype)
        return x * (2 / (self.levels - 1)) - 1 if self.distribution.finite else x

    def encode(self, context: Context, n: int) -> list[Offsets | None]:
        """Return what the class adds to each layer's gates, if anything."""
        label = context["class"] if self.classes else None
        return [layer.offsets(label) for layer in self._layers()]

    @compilable()
    def forward(self, f: Tensor, code: list[Offsets | None]) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        side = self.side(f.shape[1])
        h = self._scaled(f).view(-1, side, side, self.colours)
        v = pad(h[:, :-1], (0, 0, 0, 0, 1, 0))
        for layer, offsets in zip(self._layers(), code, strict=True):
            v, h = layer(v, h, offsets)
        params = self.params(torch.relu(self.hidden(torch.relu(h))))
        return params.reshape(f.shape[0], -1, self.distribution.params_width)

    def start(self, batch: int, n: int, code: list[Offsets | None]) -> _State:
        """Return the state before the first element."""
        side = self.side(n)
        new = self.hidden.weight.new_zeros
        layers, split = self._layers(), self.split
        inputs = [self.colours] + [self.channels] * (len(layers) - 1)
        rows = [
            deque(new(batch, side + 2 * layer.reach, c) for _ in range(layer.reach + 1))
            for layer, c in zip(layers, inputs, strict=True)
        ]
        if self.backend == COMPILE:
            rows = [deque(sized(row, 1) for row in own) for own in rows]
        c = self.channels
        both = [[*range(a, b), *range(c + a, c + b)] for a, b in pairwise(split)]
        order = [i for group in both for i in group]
        columns, crossing, vertical = [], [], []
        for layer, offsets in zip(layers, code, strict=True):
            # the horizontal gate's own offsets join the vertical contribution, which saves one addition per step
            bias = layer.across.bias + layer.horizontal.bias
            if offsets is not None:
                bias = (bias + offsets[1]).unsqueeze(1)
            crossing.append((layer.across.weight[:, order], bias[..., order]))
            vertical.append(None if offsets is None else offsets[0].unsqueeze(1))
            columns.append(
                [
                    _Columns(
                        layer.horizontal.weight[:, group].contiguous(),
                        layer.out.weight[: split[g + 1], split[g] : split[g + 1]].contiguous(),
                        layer.out.bias[split[g] : split[g + 1]],
                    )
                    for g, group in enumerate(both)
                ]
            )
        head = [
            [
                (
                    product.weight[: split[g + 1], width[g] : width[g + 1]].contiguous(),
                    product.bias[width[g] : width[g + 1]],
                )
                for g in range(self.colours)
            ]
            for product, width in ((self.hidden, split), (self.params, self.params_of))
        ]
        gated = [new(batch, c) for _ in range(len(layers) + 1)]
        return _State(0, side, rows, [], [], gated, columns, crossing, vertical, head)

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        steps = [self._step(state, f[:, g - 1 : g] if g else None) for g in range(g0, g1)]
        return torch.stack(steps, dim=1), state

    def _step(self, state: _State, before: Tensor | None) -> Tensor:
        """Return the parameters (B, P) of the next sub-pixel, given the previous one (B, 1)."""
        layers = self._layers()
        pixel, colour = divmod(state.at, self.colours)
        column = pixel % state.width
        if before is not None:
            was, of = divmod(state.at - 1, self.colours)
            at = layers[0].reach + was % state.width
            state.lines[0][:, at, of : of + 1].copy_(self._scaled(before))
        if column == 0 and colour == 0:
            self._next_row(state)
        state.at += 1
        reaches = [*(layer.reach for layer in layers), 0]
        windows = [line.narrow(1, column, reach + 1) for line, reach in zip(state.lines, reaches, strict=True)]
        return self._pixel(windows, [a.select(1, column) for a in state.across], state, colour)

    @compilable()
    def _pixel(self, windows: list[Tensor], across: list[Tensor], state: _State, colour: int) -> Tensor:
        """Return the parameters (B, P) of a sub-pixel, and write what it adds to the state's lines and gates.

        Args:
            windows: the part of each line that a pixel reads, (B, reach + 1, C); its own place is the last.
            across: each layer's vertical contribution to the pixel, (B, 2 C).
            state: the other parts of the state.
            colour: number of the colour.
        """
        lo, hi = self.split[colour], self.split[colour + 1]
        for i, layer in enumerate(self._layers()):
            columns, gated = state.columns[i][colour], state.gated[i]
            a = torch.addmm(across[i][:, 2 * lo : 2 * hi], windows[i].flatten(1), columns.horizontal)
            gated[:, lo:hi].copy_(gate(a))
            out = torch.addmm(columns.out_bias, gated[:, :hi], columns.out)
            if not layer.first:
                out = out + windows[i][:, -1, lo:hi]
            windows[i + 1][:, -1, lo:hi].copy_(out)
        (weight, bias), (last_weight, last_bias) = (product[colour] for product in state.head)
        hidden = torch.addmm(bias, torch.relu(windows[-1][:, -1, :hi]), weight)
        state.gated[-1][:, lo:hi].copy_(torch.relu(hidden))
        return torch.addmm(last_bias, state.gated[-1][:, :hi], last_weight)

    def _next_row(self, state: _State) -> None:
        """Move the vertical stack one row down, all columns at once, and clear the horizontal lines."""
        layers = self._layers()
        batch = state.gated[0].shape[0]
        new = self.hidden.weight.new_zeros
        r = layers[0].reach
        v = state.lines[0][:, r:] if state.lines else new(batch, state.width, self.colours)
        if self.backend == COMPILE:
            v = sized(steady(v), 1)
        state.across = []  # freed before the next row's
        for rows in state.rows:
            rows.popleft()
        newest, state.across = self._vertical(v, [list(rows) for rows in state.rows], state.crossing, state.vertical)
        for rows, row in zip(state.rows, newest, strict=True):
            rows.append(sized(row, 1) if self.backend == COMPILE else row)
        widths = [layer.reach for layer in layers] + [0]
        channels = [self.colours] + [self.channels] * len(layers)
        state.lines = [new(batch, reach + state.width, c) for reach, c in zip(widths, channels, strict=True)]
        if self.backend == COMPILE:
            state.lines, state.across = [outermost(x) for x in state.lines], [outermost(x) for x in state.across]

    @compilable()
    def _vertical(
        self,
        v: Tensor,
        above: list[list[Tensor]],
        crossing: list[tuple[Tensor, Tensor]],
        vertical: list[Tensor | None],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return each layer's vertical input (B, W + 2 reach, C) and contribution (B, W, 2 C) to the row below v."""
        newest, across = [], []
        for layer, rows, (weight, bias), offset in zip(self._layers(), above, crossing, vertical, strict=True):
            row = pad(v, (0, 0, layer.reach, layer.reach))
            a = layer.vertical(layer.vertical_taps([*rows, row], v.shape[1]))
            if offset is not None:
                a = a + offset
            newest.append(row)
            across.append(a @ weight + bias)
            v = gate(a)
        return newest, across

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real images as sub-pixels in the order of the raster."""
        pictures, context = self.pictures(self.side(n), rows, seed, data)
        if self.raster == "columns":
            pictures = pictures.transpose(1, 2)
        x = pictures.reshape(len(rows), n)
        if not self.distribution.finite:
            u = torch.from_numpy(np.stack([np.random.default_rng([seed, row, 1]).random(n) for row in rows]))
            x = ((x + u) * (2 / self.levels) - 1).float()
        return x, context

    def arranged(self, x: Tensor) -> Tensor:
        """Return the levels (B, H, W, C) of sub-pixels in the order of the raster."""
        if not self.distribution.finite:
            x = ((x.double() + 1) * (self.levels / 2)).floor().long().clamp(0, self.levels - 1)
        pictures = super().arranged(x)
        return pictures.transpose(1, 2) if self.raster == "columns" else pictures

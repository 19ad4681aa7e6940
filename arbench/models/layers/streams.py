"""The streams of PixelCNN++, down to a coarse image and up again, and three ways to run one.

A stream runs over whole images (``Whole``), row by row (``ByRow``: the stream of the rows above, which becomes
known a row at a time) or pixel by pixel (``ByPixel``: the other stream, which reads the first).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from arbench.backends.compiling import steady
from arbench.models.layers.row_caches import Lines, Rows
from arbench.models.layers.shifted import ACTIVATIONS, Conv, Extent, GatedResnet, Grow
from arbench.models.layers.weight_norm import FoldedWeights


class Place(NamedTuple):
    """Position of a resnet in either stream."""

    down: bool
    """True on the way to the coarse image."""
    level: int
    """Number of times that the image was halved."""
    number: int
    """Number of the resnet within its level."""


Offsets = Mapping[int, Tensor]
"""The class's additions to second convolutions, by their numbers: (B, 2 F) each."""


class Pass(Protocol):
    """Way to run a stream."""

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        """Return a resnet's output, given its input, the activated input and the activated short-cut."""

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        """Run the coarser levels from the last output on the way down; return their result at this level."""

    def leaves(self, place: Place, active: Tensor) -> None:
        """Receive each resnet's activated output."""


class Stream(nn.Module):
    """Resnets at each level on the way down and up, with a halving and a doubling of the image between levels.

    Short-cuts carry a level's input and each resnet's output from the way down to the way up, last first.

    Args:
        kernel: kernel of all convolutions.
        filters: F, the filters of every layer.
        resnets: resnets per level on the way down; one more on the way up, except at the coarsest level.
        halvings: number of times that the image is halved.
        activation: a key of ``ACTIVATIONS``.
        classes: size of the class's alphabet; 0 for none.
        taking: whether each resnet also reads the other stream's output at its place.
        generator: random numbers for the initial weights.

    Raises:
        ValueError: there is no such activation.
    """

    def __init__(
        self,
        kernel: Extent,
        filters: int,
        resnets: int,
        halvings: int,
        activation: str,
        classes: int,
        taking: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation '{activation}'; available: {', '.join(ACTIVATIONS)}")
        self.act, wider = ACTIVATIONS[activation]
        self.halvings = halvings

        def layers(number: int, inputs: int) -> nn.ModuleList:
            extra = wider * filters * (inputs + taking)
            return nn.ModuleList(
                GatedResnet(kernel, filters, activation, generator, extra=extra, classes=classes) for _ in range(number)
            )

        levels = range(halvings + 1)
        self.down = nn.ModuleList(layers(resnets, 0) for _ in levels)
        self.up = nn.ModuleList(layers(resnets + (level < halvings), 1) for level in levels)
        self.halving = nn.ModuleList(Conv(kernel, filters, filters, generator, stride=2) for _ in range(halvings))
        self.doubling = nn.ModuleList(Grow(kernel, filters, filters, generator) for _ in range(halvings))

    def resnets(self, down: bool, level: int) -> list[tuple[Place, GatedResnet]]:
        """Return the resnets of a level on the way down or up, in order."""
        layers = (self.down if down else self.up)[level]
        assert isinstance(layers, nn.ModuleList)
        return [(Place(down, level, i), m) for i, m in enumerate(layers) if isinstance(m, GatedResnet)]

    def all_resnets(self) -> Iterator[tuple[Place, GatedResnet]]:
        """Yield every resnet with its place."""
        for down in (True, False):
            for level in range(self.halvings + 1):
                yield from self.resnets(down, level)

    def between(self, level: int) -> tuple[Conv, Grow]:
        """Return the layers that halve an image of this level and double it back."""
        halve, double = self.halving[level], self.doubling[level]
        assert isinstance(halve, Conv)
        assert isinstance(double, Grow)
        return halve, double

    def run(self, x: Tensor, how: Pass, level: int = 0) -> Tensor:
        """Run a level and all coarser ones: from its input (.., F) to its output (.., F)."""
        active = self.act(x)
        skips = [active]
        for place, layer in self.resnets(True, level):
            x = how.resnet(layer, place, x, active, None)
            active = self.act(x)
            how.leaves(place, active)
            skips.append(active)
        if level < self.halvings:
            x = how.coarser(self, level, x)
            active = self.act(x)
        else:
            skips.pop()
        for place, layer in self.resnets(False, level):
            x = how.resnet(layer, place, x, active, skips.pop())
            active = self.act(x)
            how.leaves(place, active)
        return x


@dataclass
class Whole:
    """Pass over whole images (B, H, W, C)."""

    ready: FoldedWeights
    offsets: Offsets
    taken: Mapping[Place, Tensor] | None = None
    """Activated outputs of the other stream, if this one reads it."""
    left: dict[Place, Tensor] = field(default_factory=dict)
    """Activated outputs of this stream."""

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        """Run a resnet on images."""
        parts = [] if self.taken is None else [self.taken[place]]
        parts += [] if skip is None else [skip]
        extra = None if layer.join is None else self.ready(layer.join, torch.cat(parts, dim=-1))

        def conv(conv: Conv, x: Tensor) -> Tensor:
            made = conv(x, self.ready)
            if conv is layer.second and conv.number in self.offsets:
                made = made + self.offsets[conv.number][:, None, None]
            return made

        return layer.run(x, active, conv, extra)

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        """Halve the images, run the coarser levels and double the result."""
        halve, double = stream.between(level)
        return double(stream.run(halve(x, self.ready), self, level + 1), self.ready)

    def leaves(self, place: Place, active: Tensor) -> None:
        """Store an activated output for the other stream."""
        self.left[place] = active


@dataclass
class ByRow:
    """Pass over the next row of images, and of coarser images when these have one: (B, W, C)."""

    rows: Rows
    offsets: Offsets
    row: int
    second: dict[int, Tensor]
    """Second of the two rows that the last coarser row was doubled to, by level: (B, W, F)."""
    left: dict[Place, Tensor] = field(default_factory=dict)

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        """Run a resnet on a row."""
        extra = None if layer.join is None or skip is None else self.rows.ready(layer.join, skip)

        def conv(conv: Conv, x: Tensor) -> Tensor:
            made = self.rows(conv, x)
            if conv is layer.second and conv.number in self.offsets:
                made = made + self.offsets[conv.number][:, None]
            return made

        return layer.run(x, active, conv, extra)

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        """Run the coarser levels in every other row; in between, return the second of the doubled rows."""
        halve, double = stream.between(level)
        if self.row >> level & 1:
            self.rows.before[halve] = x
            return self.second[level]
        made = self.rows.ready(double, stream.run(self.rows(halve, x), self, level + 1))
        first, self.second[level] = made.unbind(1)
        return first

    def leaves(self, place: Place, active: Tensor) -> None:
        """Store an activated output for the other stream."""
        self.left[place] = active


@dataclass
class ByPixel:
    """Pass over the next pixel of the current row, and of coarser images when these have one: (B, C)."""

    lines: Lines
    doubled: dict[int, Tensor]
    """The two rows that the last coarser row is doubled to, by level: (B, 2, W, F)."""
    row: int
    column: int

    @staticmethod
    def begin_row(
        stream: Stream,
        lines: Lines,
        doubled: dict[int, Tensor],
        offsets: Offsets,
        taken: Mapping[Place, Tensor],
        row: int,
        batch: int,
        width: int,
    ) -> None:
        """Sum the contributions to a new row that are known before its pixels.

        These are the row above, the other stream in this row and the class.

        Args:
            stream: the stream of single pixels.
            lines: its row caches.
            doubled: its doubled rows, by level.
            offsets: the class's additions.
            taken: activated outputs of the other stream in this row, at levels that have a new row.
            row: number of the row.
            batch: number of images B.
            width: pixels of a row.
        """
        ready = lines.ready
        for place, layer in stream.all_resnets():
            if row % (1 << place.level):
                continue
            assert layer.join is not None
            weight, bias = ready[layer.join]
            other = taken[place]
            more = other @ weight[: other.shape[-1]] + (bias + ready[layer.first][1])
            lines.next_row(layer.first, batch, width >> place.level, more)
            offset = offsets.get(layer.second.number)
            offset = None if offset is None else offset + ready[layer.second][1]
            lines.next_row(layer.second, batch, width >> place.level, None if offset is None else offset.unsqueeze(1))
        for level in range(stream.halvings):
            if row % (1 << level):
                break
            halve, double = stream.between(level)
            if row >> level & 1:
                lines.skip_row(halve, batch, width >> level)
            else:
                lines.next_row(halve, batch, width >> level)
                shape = (batch, 2, width >> level, double.outputs)
                doubled[level] = ready[double][0].new_empty(shape)

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        """Run a resnet on a pixel."""
        column = self.column >> place.level

        spots = self.lines.spot(layer.first, column), self.lines.spot(layer.second, column)
        if skip is None or layer.join is None:
            return layer.at_pixel(x, active, *spots)
        return layer.at_pixel(x, active, *spots, skip, self.lines.ready[layer.join][0][-skip.shape[-1] :])

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        """Run the coarser levels where a coarse pixel begins; return the doubled result at this pixel."""
        halve, double = stream.between(level)
        row, column = self.row >> level, self.column >> level
        self.lines.put(halve, x, column)
        if row % 2 == 0 and column % 2 == 0:
            made = stream.run(self.lines.at(halve, column), self, level + 1)
            made = self.lines.ready(double, made.unsqueeze(1))
            self.doubled[level][:, :, column : column + 2] = made
        doubled = self.doubled[level][:, row % 2, column]
        return steady(doubled) if self.lines.compiled else doubled

    def leaves(self, place: Place, active: Tensor) -> None:
        """Do nothing: no other stream reads this one."""


def offsets(streams: list[Stream], label: Tensor | None) -> Offsets:
    """Return the additions of classes (B,), for weights that are folded already; empty without classes."""
    if label is None:
        return {}
    layers = (layer for stream in streams for _, layer in stream.all_resnets())
    return {layer.second.number: layer.by_class[label] for layer in layers if layer.by_class is not None}

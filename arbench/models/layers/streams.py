"""The two streams of PixelCNN++ on their way down to a coarse image and up again, and three ways to run one.

A stream is run over whole images (``Whole``), row by row (``ByRow``; the stream of the rows above, which is
known a row at a time) or pixel by pixel (``ByPixel``; the other stream, which takes the first one in).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from arbench.models.layers.row_caches import Lines, Rows
from arbench.models.layers.shifted import ACTIVATIONS, Conv, GatedResnet, Grow, Kernel
from arbench.models.layers.weight_norm import Ready


class Place(NamedTuple):
    """Which resnet of a stream: the same in both."""

    down: bool
    """Towards the coarse image."""
    level: int
    """How many times the image was halved."""
    number: int


Offsets = Mapping[GatedResnet, Tensor]
"""What the class adds to each resnet's second convolution: (B, 2 F)."""


class Pass(Protocol):
    """How a stream is run."""

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        """A resnet's output, given its input, that activated, and what a short-cut brings, activated."""

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        """What comes back, at this level, from those below: from the last output on the way down."""

    def leaves(self, place: Place, active: Tensor) -> None:
        """Told of each resnet's output, activated."""


class Stream(nn.Module):
    """Resnets at each level, on the way down and up; between them a halving and a doubling of the image.

    What goes down at a level is skipped over to the way up, last first: its input and each resnet's output.

    Args:
        kernel: of all convolutions.
        filters: F.
        resnets: a level, on the way down; one more on the way up, but for the coarsest.
        halvings: of the image.
        activation: a key of ``ACTIVATIONS``.
        classes: size of the class's alphabet; 0 for none.
        taking: whether each resnet also takes the other stream's output at its place.
        generator: of the initial weights.
    """

    def __init__(
        self,
        kernel: Kernel,
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
            raise ValueError(f"no activation '{activation}'; there is: {', '.join(ACTIVATIONS)}")
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
        """Those of a level, in order."""
        layers = (self.down if down else self.up)[level]
        assert isinstance(layers, nn.ModuleList)
        return [(Place(down, level, i), m) for i, m in enumerate(layers) if isinstance(m, GatedResnet)]

    def all_resnets(self) -> Iterator[tuple[Place, GatedResnet]]:
        for down in (True, False):
            for level in range(self.halvings + 1):
                yield from self.resnets(down, level)

    def between(self, level: int) -> tuple[Conv, Grow]:
        """What halves an image of this level and doubles it back."""
        halve, double = self.halving[level], self.doubling[level]
        assert isinstance(halve, Conv)
        assert isinstance(double, Grow)
        return halve, double

    def run(self, x: Tensor, how: Pass, level: int = 0) -> Tensor:
        """From what enters a level to what leaves it: (.., F) both."""
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
    """Over images (B, H, W, C)."""

    ready: Ready
    offsets: Offsets
    taken: Mapping[Place, Tensor] | None = None
    """The other stream's outputs, activated, where it is taken in."""
    left: dict[Place, Tensor] = field(default_factory=dict)
    """This stream's."""

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        parts = [] if self.taken is None else [self.taken[place]]
        parts += [] if skip is None else [skip]
        extra = None if layer.join is None else self.ready(layer.join, torch.cat(parts, dim=-1))

        def conv(conv: Conv, x: Tensor) -> Tensor:
            made = conv(x, self.ready)
            if conv is layer.second and layer in self.offsets:
                made = made + self.offsets[layer][:, None, None]
            return made

        return layer.run(x, active, conv, extra)

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        halve, double = stream.between(level)
        return double(stream.run(halve(x, self.ready), self, level + 1), self.ready)

    def leaves(self, place: Place, active: Tensor) -> None:
        self.left[place] = active


@dataclass
class ByRow:
    """The next row of images, and of the coarser ones when they have one: (B, W, C)."""

    rows: Rows
    offsets: Offsets
    row: int
    second: dict[int, Tensor]
    """By level, the second of two rows that the last coarser one was doubled to: (B, W, F)."""
    left: dict[Place, Tensor] = field(default_factory=dict)

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        extra = None if layer.join is None or skip is None else self.rows.ready(layer.join, skip)

        def conv(conv: Conv, x: Tensor) -> Tensor:
            made = self.rows(conv, x)
            if conv is layer.second and layer in self.offsets:
                made = made + self.offsets[layer][:, None]
            return made

        return layer.run(x, active, conv, extra)

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        halve, double = stream.between(level)
        if self.row >> level & 1:
            self.rows.before[halve] = x
            return self.second[level]
        made = self.rows.ready(double, stream.run(self.rows(halve, x), self, level + 1))
        first, self.second[level] = made.unbind(1)
        return first

    def leaves(self, place: Place, active: Tensor) -> None:
        self.left[place] = active


@dataclass
class ByPixel:
    """The next pixel of a row that has begun, and of the coarser images' when they have one: (B, C)."""

    lines: Lines
    doubled: dict[int, Tensor]
    """By level, the two rows that the last coarser one is doubled to: (B, 2, W, F)."""
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
        """Adds up what is known of a row of ``width`` pixels beforehand: the row above, the other stream in
        this one (``taken``, where a level has a new row), the class."""
        ready = lines.ready
        for place, layer in stream.all_resnets():
            if row % (1 << place.level):
                continue
            assert layer.join is not None
            weight, bias = ready.of[layer.join]
            other = taken[place]
            more = other @ weight[: other.shape[-1]] + (bias + ready.of[layer.first][1])
            lines.next_row(layer.first, batch, width >> place.level, more)
            offset = offsets[layer] + ready.of[layer.second][1] if layer in offsets else None
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
                doubled[level] = ready.of[double][0].new_empty(shape)

    def resnet(self, layer: GatedResnet, place: Place, x: Tensor, active: Tensor, skip: Tensor | None) -> Tensor:
        column = self.column >> place.level

        def conv(conv: Conv, x: Tensor) -> Tensor:
            self.lines.put(conv, x, column)
            made = self.lines.at(conv, column)
            if conv is layer.first and skip is not None and layer.join is not None:
                made = torch.addmm(made, skip, self.lines.ready.of[layer.join][0][-skip.shape[-1] :])
            return made

        return layer.run(x, active, conv, None)

    def coarser(self, stream: Stream, level: int, x: Tensor) -> Tensor:
        halve, double = stream.between(level)
        row, column = self.row >> level, self.column >> level
        self.lines.put(halve, x, column)
        if row % 2 == 0 and column % 2 == 0:
            made = stream.run(self.lines.at(halve, column), self, level + 1)
            made = self.lines.ready(double, made.unsqueeze(1))
            self.doubled[level][:, :, column : column + 2] = made
        return self.doubled[level][:, row % 2, column]

    def leaves(self, place: Place, active: Tensor) -> None:
        """The way it goes is forgotten: nothing takes this stream in."""


def offsets(streams: list[Stream], label: Tensor | None) -> Offsets:
    """What classes (B,) add to each resnet, if anything."""
    if label is None:
        return {}
    layers = (layer for stream in streams for _, layer in stream.all_resnets())
    return {layer: layer.by_class[label] for layer in layers if layer.by_class is not None}

"""Locally masked convolutions: each position has a mask of its own, so that any order of pixels is causal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, layer_norm, pad

from arbench.models.base import lecun_normal_
from arbench.models.layers.shifted import concat_elu


@dataclass(frozen=True)
class Taps:
    """Where each element's kernel reads: indices (N, taps) of elements, or N, a row of zeros, where a tap is
    masked out or outside of the image. What a mask leaves out is not read at all.

    Elements are in the order of generation.
    """

    strict: Tensor
    """Of groups before the element's own: the first convolution (mask A)."""
    plain: Tensor
    """Of groups up to its own, whose features hold nothing of it (mask B)."""
    dilated: Tensor
    """The same, further apart."""

    @classmethod
    def of(cls, group: Tensor, order: Tensor, side: int, kernel: int, dilation: int) -> Taps:
        """From the group of each pixel, flat (side side,), and the pixel of each element."""
        element = torch.empty_like(order)
        element[order] = torch.arange(len(order))

        def taps(step: int, strict: bool) -> Tensor:
            reach = (torch.arange(kernel) - kernel // 2) * step
            r, c = order // side, order % side
            row = r.view(-1, 1, 1) + reach.view(-1, 1)
            column = c.view(-1, 1, 1) + reach
            inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
            pixel = (row * side + column).where(inside, 0)
            own, theirs = group[order].view(-1, 1, 1), group[pixel]
            seen = inside & (theirs < own if strict else theirs <= own)
            return element[pixel].where(seen, len(order)).view(len(order), -1)

        return cls(taps(1, True), taps(1, False), taps(dilation, False))

    def to(self, device: torch.device) -> Taps:
        return Taps(self.strict.to(device), self.plain.to(device), self.dilated.to(device))


class Past:
    """What each convolution has read so far: tables (B, N + 1, C), a row an element and a last one of zeros.

    Rows are only ever written again, never added to, so that going back costs nothing.
    """

    def __init__(self, batch: int, n: int) -> None:
        self.batch, self.n = batch, n
        self.tables: list[Tensor] = []
        self.at, self.next = slice(0, n), 0

    def reading(self, begin: int, end: int, convolution: int) -> Past:
        """Itself, about to take in elements begin .. end-1 from that convolution on."""
        self.at, self.next = slice(begin, end), convolution
        return self

    def put(self, x: Tensor) -> Tensor:
        """The next convolution's table, with rows for the elements at hand written from x (B, M, C)."""
        if self.next == len(self.tables):
            self.tables.append(x.new_zeros(self.batch, self.n + 1, x.shape[-1]))
        table = self.tables[self.next]
        table[:, self.at] = x
        self.next += 1
        return table


class Whole:
    """In place of ``Past`` where the elements at hand are all there are: nothing is kept."""

    def reading(self, begin: int, end: int, convolution: int) -> Whole:
        return self

    def put(self, x: Tensor) -> Tensor:
        return pad(x, (0, 0, 0, 1))


class Linear(nn.Module):
    """A product (.., in) @ weight (in, out) + bias. Weights start with variance 1/in, biases at zero."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(lecun_normal_(torch.empty(inputs, outputs), inputs, generator))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class LocalConv(nn.Module):
    """A locally masked convolution: a product with an element's taps (B, N, taps C) side by side.

    Source: Jain et al., as below, section 4.
    """

    def __init__(self, taps: int, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.product = Linear(taps * inputs, outputs, generator)

    def forward(self, x: Tensor, taps: Tensor, past: Past | Whole) -> Tensor:
        batch = x.shape[0]
        read = past.put(x).index_select(1, taps.reshape(-1))
        return cast(Tensor, self.product(read.view(batch, len(taps), -1)))


def normalised(x: Tensor) -> Tensor:
    """Over channels, position by position, so that no position learns of another."""
    return layer_norm(x, x.shape[-1:])


class Block(nn.Module):
    """Gated residual block of two locally masked convolutions; ``skip`` where it takes in another's
    output."""

    def __init__(self, taps: int, channels: int, skip: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.first = LocalConv(taps, 2 * channels, channels, generator)
        self.skip = Linear(2 * channels, channels, generator) if skip else None
        self.second = LocalConv(taps, 2 * channels, 2 * channels, generator)

    def forward(self, x: Tensor, taps: Tensor, past: Past | Whole, other: Tensor | None = None) -> Tensor:
        hidden = normalised(self.first(concat_elu(x), taps, past))
        if self.skip is not None and other is not None:
            hidden = hidden + self.skip(concat_elu(other))
        a, b = self.second(concat_elu(hidden), taps, past).chunk(2, dim=-1)
        return x + normalised(a) * b.sigmoid()


class LocallyMaskedNet(nn.Module):
    """Up through ``stages`` of gated residual blocks and down again with skip connections, as PixelCNN++ but
    in one stream and at one resolution; a dilated convolution stands between stages.

    Source: Jain et al., *Locally Masked Convolution for Autoregressive Models*, 2020, sections 4 and 5 and
    the published code: concatenated ELU, positional normalisation, no weight normalisation, which the code
    keeps for its 1x1 products alone. Dropout, a matter of training, is left out.

    Args:
        stages: published 3.
        blocks: a stage on the way up; one more a stage on the way down but in the first.
        channels: of the stream.
        taps: of a kernel.
        outputs: parameters of an element.
        generator: of the initial weights.
    """

    def __init__(
        self, *, stages: int, blocks: int, channels: int, taps: int, outputs: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        g = generator
        self.first = LocalConv(taps, 2, channels, g)
        self.up = nn.ModuleList(
            nn.ModuleList(Block(taps, channels, False, g) for _ in range(blocks)) for _ in range(stages)
        )
        self.down = nn.ModuleList(
            nn.ModuleList(Block(taps, channels, True, g) for _ in range(blocks + (i > 0))) for i in range(stages)
        )
        between = [LocalConv(taps, channels, channels, g) for _ in range(2 * (stages - 1))]
        self.between = nn.ModuleList(between)
        self.last = Linear(channels, outputs, g)

    def forward(self, x: Tensor, past: Past | Whole, begin: int, lo: int, hi: int, taps: Taps) -> Tensor:
        """Parameters (B, hi - lo, P) of elements lo .. hi-1.

        Args:
            x: (B, M, 2) values and ones of elements ``begin`` on, the last that elements before ``hi`` may
                read; of all of them where nothing is kept.
            past: what was read before.
            taps: of all elements.
        """
        strict, plain, dilated = taps.strict[lo:hi], taps.plain[lo:hi], taps.dilated[lo:hi]
        u = normalised(self.first(x, strict, past.reading(begin, begin + x.shape[1], 0)))
        past.reading(lo, hi, 1)
        seen = [u]
        between = iter(self.between)
        for stage, blocks in enumerate(self.up):
            if stage:
                seen.append(u := normalised(next(between)(u, dilated, past)))
            for block in cast(nn.ModuleList, blocks):
                seen.append(u := block(u, plain, past))
        seen.pop()
        for stage, blocks in enumerate(self.down):
            if stage:
                u = normalised(next(between)(u, dilated, past))
            for block in cast(nn.ModuleList, blocks):
                u = block(u, plain, past, seen.pop())
        return cast(Tensor, self.last(elu(u)))

"""Locally masked convolutions: each position has its own mask, so that any order of pixels is causal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, layer_norm, pad

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized
from arbench.models.base import Switched, lecun_normal_
from arbench.models.layers.shifted import concat_elu


@dataclass(frozen=True)
class Taps:
    """Elements that each element's kernel reads: indices (N, taps), in the order of generation.

    Index N, a row of zeros, stands for a tap that is masked out or outside the image. So masked elements are
    not read at all.
    """

    strict: Tensor
    """Taps in groups before the element's own, for the first convolution (mask A)."""
    plain: Tensor
    """Taps in groups up to its own, whose features do not depend on the element itself (mask B)."""
    dilated: Tensor
    """Taps under mask B of the dilated convolutions."""

    @classmethod
    def of(cls, group: Tensor, order: Tensor, side: int, kernel: int, dilation: int) -> Taps:
        """Make the taps of an image.

        Args:
            group: group of each pixel, flat (side side,).
            order: pixel of each element, (side side,).
            side: side of the image.
            kernel: width of the convolutions.
            dilation: dilation of the dilated ones.
        """
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
        """Return the taps on a device."""
        return Taps(self.strict.to(device), self.plain.to(device), self.dilated.to(device))


class Past:
    """Inputs of each convolution so far: tables (B, N + 1, C), one row per element and a last one of zeros.

    Rows are overwritten, never added to, so that going back costs nothing.
    """

    def __init__(self, batch: int, n: int) -> None:
        self.batch, self.n = batch, n
        self.tables: list[Tensor] = []
        self.at, self.next = slice(0, n), 0

    def reading(self, begin: int, end: int, convolution: int) -> Past:
        """Prepare to store elements begin .. end-1, from that convolution on, and return the object itself."""
        self.at, self.next = slice(begin, end), convolution
        return self

    def put(self, x: Tensor) -> Tensor:
        """Write x (B, M, C) to the current elements' rows of the next convolution's table; return the table."""
        if self.next == len(self.tables):
            self.tables.append(x.new_zeros(self.batch, self.n + 1, x.shape[-1]))
        table = self.tables[self.next]
        table[:, self.at] = x
        self.next += 1
        return table


class NoPast:
    """Stand-in for ``Past`` in whole passes, which keeps nothing: the current elements are all there are."""

    def reading(self, begin: int, end: int, convolution: int) -> NoPast:
        """Return the object itself."""
        return self

    def put(self, x: Tensor) -> Tensor:
        """Return x (B, N, C) and a last row of zeros."""
        return pad(x, (0, 0, 0, 1))


class Linear(nn.Module):
    """A product (.., in) @ weight (in, out) + bias.

    Weights start with variance 1/in, biases from U(-1/sqrt in, 1/sqrt in).

    Biases are not zero: elements that read nothing would be normalised from zero, where the gradient is not finite.
    """

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(lecun_normal_(torch.empty(inputs, outputs), inputs, generator))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Return the product (.., out)."""
        return x @ self.weight + self.bias


class LocalConv(nn.Module):
    """A locally masked convolution: a product with an element's taps (B, N, taps C), side by side.

    Source: Jain et al., *Locally Masked Convolution for Autoregressive Models*, 2020, section 4.
    """

    def __init__(self, taps: int, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.product = Linear(taps * inputs, outputs, generator)

    def forward(self, x: Tensor, taps: Tensor, past: Past | NoPast) -> Tensor:
        """Return the convolution at the elements of ``taps`` (M, taps), given the current elements x."""
        return cast(Tensor, self.product(self.read(x, taps, past)))

    @staticmethod
    def read(x: Tensor, taps: Tensor, past: Past | NoPast) -> Tensor:
        """Return what the elements of ``taps`` read, side by side: (B, M, taps C)."""
        return past.put(x).index_select(1, taps.reshape(-1)).view(x.shape[0], len(taps), -1)


def normalised(x: Tensor) -> Tensor:
    """Normalise over channels, position by position, so that no position depends on another."""
    return layer_norm(x, x.shape[-1:])


class LocalBlock(Switched):
    """Gated residual block of two locally masked convolutions; with ``skip`` it also reads another block.

    On the backend "compile" what a block computes from what it reads is two graphs, for groups of all sizes. Elements
    are read outside of them, from tables that grow with the groups.
    """

    def __init__(self, taps: int, channels: int, skip: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.first = LocalConv(taps, 2 * channels, channels, generator)
        self.skip = Linear(2 * channels, channels, generator) if skip else None
        self.second = LocalConv(taps, 2 * channels, 2 * channels, generator)

    def forward(self, x: Tensor, taps: Tensor, past: Past | NoPast, other: Tensor | None = None) -> Tensor:
        """Return the block's output, with the shape of x; ``other`` is the other block's output."""
        compiled = self.backend == COMPILE and not torch.compiler.is_compiling()
        if compiled:
            x, other = sized(x, 1), None if other is None else sized(other, 1)
        read = self.first.read(concat_elu(x), taps, past)
        hidden = self._hidden(sized(read, 1) if compiled else read, other)
        read = self.second.read(hidden, taps, past)
        return self._gated(x, sized(read, 1) if compiled else read)

    @compilable()
    def _hidden(self, read: Tensor, other: Tensor | None) -> Tensor:
        hidden = normalised(self.first.product(read))
        if self.skip is not None and other is not None:
            hidden = hidden + self.skip(concat_elu(other))
        return concat_elu(hidden)

    @compilable()
    def _gated(self, x: Tensor, read: Tensor) -> Tensor:
        a, b = self.second.product(read).chunk(2, dim=-1)
        return x + normalised(a) * b.sigmoid()


class LocallyMaskedNet(nn.Module):
    """A network of ``stages`` of gated residual blocks on the way up, and down again with skip connections.

    It is PixelCNN++ with one stream at one resolution; a dilated convolution separates stages.

    Source: Jain et al., *Locally Masked Convolution for Autoregressive Models*, 2020, sections 4 and 5 and
    the published code: concatenated ELU, positional normalisation, and no weight normalisation, which the
    code uses only for its 1x1 products. Dropout, which matters only in training, is left out.

    Args:
        stages: number of stages; 3 as published.
        blocks: blocks per stage on the way up; one more on the way down, except in the first stage.
        channels: channels of the stream.
        taps: taps of a kernel.
        outputs: parameters of an element.
        generator: random numbers for the initial weights.
    """

    def __init__(
        self, *, stages: int, blocks: int, channels: int, taps: int, outputs: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        g = generator
        self.first = LocalConv(taps, 2, channels, g)
        self.up = nn.ModuleList(
            nn.ModuleList(LocalBlock(taps, channels, False, g) for _ in range(blocks)) for _ in range(stages)
        )
        self.down = nn.ModuleList(
            nn.ModuleList(LocalBlock(taps, channels, True, g) for _ in range(blocks + (i > 0))) for i in range(stages)
        )
        between = [LocalConv(taps, channels, channels, g) for _ in range(2 * (stages - 1))]
        self.between = nn.ModuleList(between)
        self.last = Linear(channels, outputs, g)

    def forward(self, x: Tensor, past: Past | NoPast, begin: int, lo: int, hi: int, taps: Taps) -> Tensor:
        """Return the parameters (B, hi - lo, P) of elements lo .. hi-1.

        Args:
            x: (B, M, 2) values and ones of elements from ``begin`` to the last that elements before ``hi`` may
                read; of all elements in a whole pass.
            past: inputs of each convolution so far.
            begin: first element of x.
            lo: first element to compute.
            hi: element after the last to compute.
            taps: taps of all elements.
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

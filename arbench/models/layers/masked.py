"""Masked products, and PixelCNN's gated layer of two stacks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.models.base import lecun_normal_

Offsets = tuple[Tensor, Tensor]
"""A class's additions to the vertical and to the horizontal gate: (B, 2 C) each."""


def bounds(width: int, groups: int) -> list[int]:
    """Return the bounds of ``groups`` nearly equal runs of ``width`` channels."""
    return [round(width * i / groups) for i in range(groups + 1)]


def group_mask(inputs: list[int], outputs: list[int], *, strict: bool) -> Tensor:
    """Return the mask (in, out) of inputs whose group is at most (``strict``: below) the output's group."""
    mask = torch.zeros(inputs[-1], outputs[-1])
    for g in range(len(outputs) - 1):
        mask[: inputs[g if strict else g + 1], outputs[g] : outputs[g + 1]] = 1
    return mask


class Masked(nn.Module):
    """A product (.., in) @ weight (in, out) + bias whose masked-out weights are always zero.

    The mask is applied when the weights are set, so a pass does not pay for it. With ``by_output`` an
    output's weights lie side by side in memory, for steps that compute few outputs at a time.
    """

    def __init__(self, mask: Tensor, generator: torch.Generator, by_output: bool = False) -> None:
        super().__init__()
        fan_in = mask.sum(0).clamp_min(1)
        weight = lecun_normal_(torch.empty(mask.shape), 1, generator) * mask / fan_in.sqrt()
        if by_output:
            weight = weight.t().contiguous().t()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(mask.shape[1]))
        self.mask: Tensor
        self.register_buffer("mask", mask.bool(), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.apply_mask())
        self.weight.register_hook(lambda grad: grad * self.mask)

    def apply_mask(self) -> None:
        """Zero the masked-out weights."""
        with torch.no_grad():
            self.weight.masked_fill_(~self.mask, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product (.., out)."""
        return x @ self.weight + self.bias


def gate(a: Tensor) -> Tensor:
    """Return tanh of the first half of the channels times the sigmoid of the second."""
    f, g = a.chunk(2, dim=-1)
    return f.tanh() * g.sigmoid()


class TwoStackLayer(nn.Module):
    """A vertical and a horizontal gated convolution; the first sees all rows above, the second its own row.

    Channels come last; convolutions are products with the taps side by side. Horizontal channels are split
    into ``groups`` (one per colour): of its own pixel, colour g reads colours up to g (mask B), or below g in
    the first layer (mask A). With ``classes``, the class adds to both halves of both gates.
    """

    def __init__(
        self,
        kernel: int,
        inputs: int,
        channels: int,
        groups: int,
        first: bool,
        generator: torch.Generator,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.kernel, self.reach, self.first = kernel, kernel // 2, first
        split = bounds(channels, groups)
        twice = torch.ones(1, 2)
        centre = torch.kron(twice, group_mask(bounds(inputs, groups), split, strict=first))
        left = torch.ones(self.reach * inputs, 2 * channels)
        rows = (self.reach + 1) * kernel
        self.vertical = Masked(torch.ones(rows * inputs, 2 * channels), generator)
        self.horizontal = Masked(torch.cat([left, centre]), generator)
        self.across = Masked(torch.ones(2 * channels, 2 * channels), generator)
        self.out = Masked(group_mask(split, split, strict=False), generator)
        self.by_class = None
        if classes:
            self.by_class = nn.Parameter(lecun_normal_(torch.empty(classes, 4 * channels), 1, generator))

    def vertical_taps(self, rows: Sequence[Tensor], width: int) -> Tensor:
        """Return taps (B, .., W, taps C) from the reach + 1 rows up to this one, each padded on both sides."""
        return torch.cat([row[..., j : j + width, :] for row in rows for j in range(self.kernel)], dim=-1)

    def offsets(self, label: Tensor | None) -> Offsets | None:
        """Return the additions of classes (B,) to the vertical and horizontal gate, (B, 2 C) each, if any."""
        if self.by_class is None or label is None:
            return None
        vertical, horizontal = self.by_class[label].chunk(2, dim=-1)
        return vertical, horizontal

    def forward(self, v: Tensor, h: Tensor, offsets: Offsets | None = None) -> tuple[Tensor, Tensor]:
        """Return both stacks, (B, H, W, C) each, given v, h and the class's ``offsets``."""
        _, height, width, _ = v.shape
        r = self.reach
        padded = pad(v, (0, 0, r, r, r, 0))
        a = self.vertical(self.vertical_taps([padded[:, i : i + height] for i in range(r + 1)], width))
        if offsets is not None:
            a = a + offsets[0][:, None, None]
        left = pad(h, (0, 0, r, 0))
        taps = torch.cat([left[..., j : j + width, :] for j in range(r + 1)], dim=-1)
        b = self.horizontal(taps) + self.across(a)
        if offsets is not None:
            b = b + offsets[1][:, None, None]
        out = self.out(gate(b))
        return gate(a), out if self.first else out + h

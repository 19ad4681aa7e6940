"""Upscaling networks: one corner of every 2x2 block of an image, from the known corners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from arbench.backends.compiling import compilable
from arbench.models.base import Switched, lecun_normal_

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column of the corners of a 2x2 block, in the order of generation.

The upper left corner is the lower resolution; upper right, lower left and lower right follow.
"""


class Conv3x3(nn.Module):
    """A zero-padded 3x3 convolution at one resolution. Weights start with variance 1/fan_in, biases at zero."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.empty(outputs, inputs, 3, 3)
        self.weight = nn.Parameter(lecun_normal_(weight, 9 * inputs, generator))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve images (B, in, H, W): return (B, out, H, W)."""
        return conv2d(x, self.weight, self.bias, padding=1)


class Head(nn.Module):
    """Parameters of one colour from features and the pixel's earlier colours, by one hidden layer with ReLU."""

    def __init__(self, width: int, earlier: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        fan_in = width + earlier
        self.hidden = nn.Parameter(lecun_normal_(torch.empty(fan_in, width), fan_in, generator))
        self.hidden_bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Parameter(lecun_normal_(torch.empty(width, outputs), width, generator))
        self.out_bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor, earlier: Tensor) -> Tensor:
        """Return parameters (B, M, P) from features (B, M, W) and values of earlier colours (B, M, c)."""
        read = torch.cat([features, earlier], dim=-1) if earlier.shape[-1] else features
        return torch.relu(read @ self.hidden + self.hidden_bias) @ self.out + self.out_bias


class Upscaler(Switched):
    """Predictor of one corner of every block: a residual network over the known corners, then a head per colour.

    Corners lie side by side as channels at the lower resolution, which equals a convolution of the merged
    image without every other row and column.

    Args:
        known: number of known corners, 1 to 3.
        colours: colours of a pixel.
        width: channels of the network.
        blocks: residual blocks of two 3x3 convolutions, ReLU before each (He et al., *Identity Mappings in
            Deep Residual Networks*, 2016).
        outputs: parameters of a sub-pixel.
        classes: classes of an image, which add to the first convolution; 0 for none.
        generator: random numbers for the initial weights.
    """

    def __init__(
        self,
        *,
        known: int,
        colours: int,
        width: int,
        blocks: int,
        outputs: int,
        classes: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        g = generator
        self.first = Conv3x3(known * colours, width, g)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Conv3x3(width, width, g), Conv3x3(width, width, g)]) for _ in range(blocks)
        )
        self.heads = nn.ModuleList(Head(width, colour, outputs, g) for colour in range(colours))
        self.by_class = None
        if classes:
            self.by_class = nn.Parameter(lecun_normal_(torch.empty(classes, width), 1, g))

    @compilable()
    def features(self, corners: Sequence[Tensor], label: Tensor | None) -> Tensor:
        """Return features (B, S S, W) from the known corners, (B, C, S, S) each, and the class (B,)."""
        x = self.first(torch.cat([*corners], dim=1) if len(corners) > 1 else corners[0])
        if self.by_class is not None:
            x = x + self.by_class[label][:, :, None, None]
        for block in self.blocks:
            first, second = cast(nn.ModuleList, block)
            x = x + second(torch.relu(first(torch.relu(x))))
        return torch.relu(x).flatten(2).transpose(1, 2)

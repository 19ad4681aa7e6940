"""Fully factorised image model: all sub-pixels are independent and drawn at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arbench.backends.compiling import compilable
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most, lecun_normal_
from arbench.models.events import images


class Factorised(images.ImageSource, Source):
    """An element is one sub-pixel, in order of rows, columns, colours: one group of N = C H W, one step.

    A sub-pixel's distribution depends on its position and on the class, and on no other sub-pixel. A small
    network of two hidden layers (ReLU) reads sines and cosines of row and column, the colour and the class,
    so the number of weights does not grow with N.

    Presets:
        digits: 8 frequencies, 64 wide, 17-way softmax, grey, conditioned on the digit.
        rgb: 16 frequencies, 256 wide, 256-way softmax, 3 colours, unconditional.
        tiny, tiny_colour: for tests.

    Sources: Reed et al., *Parallel Multiscale Autoregressive Density Estimation*, 2017, section 1: pixels
    modelled as independent can be drawn at once. It publishes no network for this case, so the network here
    is this library's own. Vaswani et al., *Attention Is All You Need*, 2017, section 3.5, for the features
    of position, here of rows and of columns. Weights start with variance 1/fan_in, biases at zero.

    Args:
        frequencies: number of frequencies of the sines and cosines of each axis.
        width: width of both hidden layers.
        colours: sub-pixels of a pixel.
        levels: values of a sub-pixel.
        classes: 10 to condition on the digit that the picture is made of, else 0.
        seed: seed of the initial weights.

    Raises:
        ValueError: there is no frequency, or the number of classes is neither 0 nor 10.
    """

    family = "grouped"
    remark = "models no dependence between sub-pixels: the floor of cost, not of likelihood"
    citation = "Reed et al. 2017, arXiv:1703.03664"
    default_preset = "digits"
    presets = {
        "digits": dict(frequencies=8, width=64, colours=1, levels=17, classes=10),
        "rgb": dict(frequencies=16, width=256, colours=3, levels=256),
        "tiny": dict(frequencies=2, width=8, colours=1, levels=3, classes=10),
        "tiny_colour": dict(frequencies=2, width=8, colours=3, levels=2),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "sequential"): Claim("1", "N"),
        ("sample", "naive"): Claim("1", "N"),
        ("sample", "cached"): Claim("1", "N"),
        **at_most("1", "N"),
    }

    def __init__(
        self, *, frequencies: int, width: int, colours: int, levels: int, classes: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        if frequencies < 1:
            raise ValueError(f"a position needs at least 1 frequency, got {frequencies}")
        if classes not in (0, images.DIGIT_CLASSES):
            raise ValueError(f"classes must be 0 or {images.DIGIT_CLASSES}, got {classes}")
        g = torch.Generator().manual_seed(seed)
        self.frequencies, self.colours, self.levels, self.classes = frequencies, colours, levels, classes
        self.distribution = Categorical(levels)
        self.alphabets = {"class": classes} if classes else {}
        features = 4 * frequencies
        self.position = nn.Parameter(lecun_normal_(torch.empty(features, width), features, g))
        self.colour = nn.Parameter(lecun_normal_(torch.empty(colours, width), 1, g))
        self.kind = nn.Parameter(lecun_normal_(torch.empty(max(classes, 1), width), 1, g))
        self.hidden = nn.Parameter(lecun_normal_(torch.empty(width, width), width, g))
        self.hidden_bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Parameter(lecun_normal_(torch.empty(width, levels), width, g))
        self.out_bias = nn.Parameter(torch.zeros(levels))
        sides = (4, 6, 8, 12, 16) if colours > 1 else (8, 12, 16, 24, 32)
        self.ladder = [colours * side * side for side in sides]
        self.count_ladder = [colours * side * side for side in (2, 3, 4, 5, 6)]

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the single group, which contains all elements."""
        self.side(n)
        return range(0, n + 1, n)

    def _features(self, side: int) -> Tensor:
        """Return sines and cosines (side, side, 4 F) of row and column, wavelengths from 2 pi to 2 pi 1000."""
        dtype, device = self.position.dtype, self.position.device
        at = torch.arange(side, dtype=dtype, device=device)
        exponents = torch.arange(self.frequencies, dtype=dtype, device=device) / max(self.frequencies - 1, 1)
        angles = at.unsqueeze(-1) * torch.pow(1000.0, -exponents)
        axis = torch.cat([angles.sin(), angles.cos()], dim=-1)
        rows = axis.unsqueeze(1).expand(side, side, -1)
        return torch.cat([rows, axis.unsqueeze(0).expand(side, side, -1)], dim=-1)

    @compilable()
    def _params(self, batch: int, n: int, code: Context) -> Tensor:
        place = (self._features(self.side(n)) @ self.position).unsqueeze(2) + self.colour
        kind = self.kind[code["class"]] if self.classes else self.kind.expand(batch, -1)
        first = torch.relu(place.view(1, n, -1) + kind.unsqueeze(1))
        hidden = torch.relu(first @ self.hidden + self.hidden_bias)
        return hidden @ self.out + self.out_bias

    def start(self, batch: int, n: int, code: Context) -> Context:
        """Return the context: there is nothing to keep between groups."""
        return code

    def extend(self, state: Context, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Context]:
        """Return the parameters of all elements, or of none if g1 is g0."""
        params = self._params(f.shape[0], f.shape[1], state)
        return params if g1 > g0 else params[:, :0], state

    @compilable()
    def forward(self, f: Tensor, code: Context) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        return self._params(f.shape[0], f.shape[1], code)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real images as sub-pixels in order of rows, columns and colours."""
        pictures, context = self.pictures(self.side(n), rows, seed, data)
        return pictures.reshape(len(rows), n), context

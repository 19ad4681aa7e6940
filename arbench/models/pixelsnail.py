"""PixelSNAIL: whole pixels in raster order, from causal convolutions and attention to all earlier pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, outermost
from arbench.distributions import PixelMixture
from arbench.models.base import Claim, Context, at_most
from arbench.models.events.whole_pixels import Raster, WholePixels
from arbench.models.layers.pixel_attention import PixelAttention, attend
from arbench.models.layers.row_caches import Lines
from arbench.models.layers.shifted import DOWN_RIGHT, GatedResnet, ImageEntry
from arbench.models.layers.weight_norm import Fitting, FoldedWeights, WeightNormed, numbered


class Block(nn.Module):
    """A block: residual layers of down-right convolutions, then attention to all earlier pixels."""

    def __init__(
        self,
        resnets: int,
        filters: int,
        colours: int,
        key: int,
        value: int,
        activation: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(GatedResnet(DOWN_RIGHT, filters, activation, generator) for _ in range(resnets))
        self.attention = PixelAttention(filters, colours, key, value, activation, generator)

    def layers(self) -> list[GatedResnet]:
        """Return the residual layers in order."""
        return [layer for layer in self.resnets if isinstance(layer, GatedResnet)]


@dataclass
class _State(Raster):
    places: Tensor = field(kw_only=True)
    """Row and column of each pixel, (N, 2)."""
    slots: list[Tensor] = field(kw_only=True)
    """Keys and values of earlier pixels, by block: (B, N, key + value)."""
    inputs: list[Tensor] = field(default_factory=list)
    """Inputs of the attention in this row, by block: (B, W, F)."""


class PixelSNAIL(WholePixels):
    """An element is a whole pixel of ``colours`` channels: N = H W on a square image.

    Each block is a few residual layers followed by attention of a single head to all earlier pixels. Keys and
    values are computed from a pixel, the features that drew it and its position; the query from features and
    position. Steps keep a row of every convolution's inputs, and the key and value of every pixel and block,
    computed as soon as the pixel is known. Attention reads the whole past: the cost of a step grows with its
    position, and N steps cost N^2.

    Presets:
        cifar10: 12 blocks of 4 layers, 256 filters, keys of 16 and values of 128, 10 logistics, RGB
            (published at 32x32); 46,021,908 parameters.
        imagenet32: the same with 32 logistics.
        digits: 2 blocks of 2 layers, 32 filters, grey, on the UCI digits' own levels.
        tiny, tiny_grey: for tests.

    Source: Chen et al., *PixelSNAIL: An Improved Autoregressive Generative Model*, 2017, and its published
    code, whose attention weights sum to 1 - 1e-6; here they are the softmax. Dropout is left out: nothing is
    trained here. Directions start as N(0, 0.05^2), gains at 1 (0.1 for second convolutions), biases at 0;
    ``initialise`` sets gains and biases from data, as published.

    Args:
        blocks: number of blocks.
        resnets: residual layers of a block.
        filters: F, the filters of every layer.
        key: width of a key.
        value: width of a value.
        colours: channels of a pixel.
        levels: values of a channel.
        components: components of the mixture.
        activation: activation of the layers, "elu" or "concat_elu".
        seed: seed of the initial weights.

    Raises:
        ValueError: there is no such activation, or no block.
    """

    family = "sequential"
    citation = "Chen et al. 2017, arXiv:1712.09763"
    default_preset = "digits"
    presets = {
        "cifar10": dict(blocks=12, resnets=4, filters=256, key=16, value=128, colours=3, levels=256),
        "imagenet32": dict(blocks=12, resnets=4, filters=256, key=16, value=128, colours=3, levels=256, components=32),
        "digits": dict(blocks=2, resnets=2, filters=32, key=8, value=16, colours=1, levels=17, components=5),
        "tiny": dict(blocks=2, resnets=1, filters=5, key=2, value=3, colours=3, levels=2, components=2),
        "tiny_grey": dict(
            blocks=1,
            resnets=2,
            filters=4,
            key=3,
            value=2,
            colours=1,
            levels=5,
            components=2,
            activation="concat_elu",
        ),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N^2"),
        ("score", "sequential"): Claim("1", "N^2"),
        ("sample", "naive"): Claim("N", "N^3"),
        ("sample", "cached"): Claim("N", "N^2"),
        ("sample", "speculative"): Claim("<= N", "<= N^2"),
        ("sample", "rejection"): Claim("<= N", "<= N^2"),
        **at_most(),
        ("sample", "fixed_point"): Claim("<= N", "<= N^3"),  # every pass covers the whole length
    }

    def __init__(
        self,
        *,
        blocks: int,
        resnets: int,
        filters: int,
        key: int,
        value: int,
        colours: int,
        levels: int,
        components: int = 10,
        activation: str = "elu",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"PixelSNAIL needs at least one block, got {blocks}")
        g = torch.Generator().manual_seed(seed)
        self.colours, self.levels = colours, levels
        self.distribution = PixelMixture(levels, colours, components)
        self.enter = ImageEntry(colours + 1, filters, g)
        self.blocks = nn.ModuleList(Block(resnets, filters, colours, key, value, activation, g) for _ in range(blocks))
        self.params = WeightNormed(filters, self.distribution.params_width, g)
        numbered(self)
        self.ladder = [side * side for side in (4, 6, 8, 12, 16)]
        self.count_ladder = [side * side for side in (3, 4, 5, 6, 7, 8)]

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {
            **config,
            "blocks": max(config["blocks"] // 4, 1),
            "resnets": max(config["resnets"] // 2, 1),
            "filters": max(config["filters"] // 2, 2),
        }

    def encode(self, context: Context, n: int) -> FoldedWeights:
        """Return the folded weights; there is no context."""
        return FoldedWeights(self)

    def _places(self, side: int) -> Tensor:
        """Return row and column of each pixel, scaled to [-1/2, 1/2): (N, 2)."""
        scale = torch.arange(side, dtype=self.params.gain.dtype, device=self.params.gain.device) / side - 0.5
        return torch.cartesian_prod(scale, scale)

    @compilable()
    def forward(self, f: Tensor, code: FoldedWeights) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        side = self.side(f.shape[1])
        pixels, places = self.channels(f, self.params.gain.dtype), self._places(side)
        x = self.enter(pixels.unflatten(1, (side, side)), code)
        for block in self._blocks():
            for layer in block.layers():
                x = layer.run(x, layer.act(x), lambda conv, h: conv(h, code), None)
            x = block.attention(x.flatten(1, 2), pixels[..., :-1], places, code).unflatten(1, (side, side))
        return code(self.params, elu(x)).flatten(1, 2)

    def initialise(self, f: Tensor, code: FoldedWeights) -> None:
        """Set gains and biases from events (B, N), see ``Fitting``; encode the context again afterwards."""
        self.forward(f, Fitting(self))

    def start(self, batch: int, n: int, code: FoldedWeights) -> _State:
        """Return the state before the first element."""
        side, new = self.side(n), self.params.gain.new_empty
        heads = [block.attention for block in self._blocks()]
        slots = [new(batch, n, head.key + head.value) for head in heads]
        return _State(0, batch, side, Lines(code, self.backend == COMPILE), places=self._places(side), slots=slots)

    def known(self, state: Raster, before: Tensor) -> None:
        """Store the key and value that each block makes of the pixel just drawn."""
        assert isinstance(state, _State)
        at = state.at - 1
        for block, x, slots in zip(self._blocks(), state.inputs, state.slots, strict=True):
            x, place = x[:, at % state.side], state.places[at]
            slots[:, at] = block.attention.content(x, before[:, :-1], place, state.lines.ready)

    def next_row(self, state: Raster) -> None:
        """Prepare the convolutions and attention inputs of a new row."""
        assert isinstance(state, _State)
        for block in self._blocks():
            for layer in block.layers():
                for conv in (layer.first, layer.second):
                    state.lines.next_row(conv, state.batch, state.side)
        shape = (state.batch, state.side, self.enter.above.bias.shape[0])
        state.inputs = [self.params.gain.new_empty(shape) for _ in self.blocks]
        if self.backend == COMPILE:
            state.inputs = [outermost(inputs) for inputs in state.inputs]

    def step(self, state: Raster, x: Tensor) -> Tensor:
        """Return the parameters (B, P) of the next pixel."""
        assert isinstance(state, _State)
        lines, ready, at, column = state.lines, state.lines.ready, state.at, state.at % state.side

        for block, inputs, slots in zip(self._blocks(), state.inputs, state.slots, strict=True):
            for layer in block.layers():
                x = layer.at_pixel(x, layer.act(x), lines.spot(layer.first, column), lines.spot(layer.second, column))
            inputs[:, column] = x
            query = block.attention.query(x, state.places[at], ready)
            mixed = attend(query.unsqueeze(1), slots[:, :at], block.attention.key)
            x = block.attention.merge(x, mixed.squeeze(1), ready)
        return ready(self.params, elu(x))

"""PixelCNN++: whole pixels of an image in raster order, from two streams at several resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import elu

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable
from arbench.distributions import PixelMixture
from arbench.models.base import Claim, Context, at_most
from arbench.models.events.images import DIGIT_CLASSES
from arbench.models.events.whole_pixels import Raster, WholePixels
from arbench.models.layers.row_caches import Lines, Rows
from arbench.models.layers.shifted import DOWN, DOWN_RIGHT, Conv, ImageEntry, down
from arbench.models.layers.streams import ByPixel, ByRow, Offsets, Stream, Whole, offsets
from arbench.models.layers.weight_norm import Fitting, FoldedWeights, WeightNormed, numbered


@dataclass
class _Code:
    ready: FoldedWeights
    offsets: Offsets


@dataclass
class _State(Raster):
    offsets: Offsets = field(default_factory=dict)
    rows: Rows = field(kw_only=True)
    second: dict[int, Tensor] = field(default_factory=dict)
    doubled: dict[int, Tensor] = field(default_factory=dict)

    def copied(self) -> Self:
        """Return a copy to step from."""
        return replace(super().copied(), rows=self.rows.copied(), second=dict(self.second), doubled=dict(self.doubled))


class PixelCNNpp(WholePixels):
    """An element is a whole pixel of ``colours`` channels: N = H W on a square image.

    The side of the image is a multiple of 2^halvings. One stream of shifted convolutions reads the rows above;
    the other reads the rows above, the pixels to the left and the first stream. Both go down from the image
    to one that is halved ``halvings`` times and back up, with short-cuts between layers of one resolution.
    Steps run the first stream a row at a time and the second a pixel at a time, and a coarser resolution only
    where one of its pixels begins: work per pixel does not grow with N.

    Presets:
        cifar10: 5 resnets per level, 160 filters, 3 resolutions, 10 logistics, RGB (published at 32x32);
            53,659,080 parameters.
        digits: 1 resnet per level, 32 filters, 2 resolutions, 5 logistics, grey, on the UCI digits' own
            levels.
        digits_class: digits, conditioned on the digit.
        tiny, tiny_class: for tests.

    Sources: Salimans et al., *PixelCNN++*, 2017, and its published code; Ramachandran et al., *Fast
    Generation for Convolutional Autoregressive Models*, 2017, arXiv:1704.06001, for the steps. Dropout is
    left out: nothing is trained here. Directions and class weights start as N(0, 0.05^2), gains at 1 (0.1 for
    second convolutions), biases at 0; ``initialise`` sets gains and biases from data, as published.

    Args:
        resnets: resnets per level and stream on the way down; on the way up one more, except at the coarsest.
        filters: filters of every layer.
        halvings: number of resolutions below the image's own.
        colours: channels of a pixel.
        levels: values of a channel.
        components: components of the mixture.
        activation: activation of the resnets, "concat_elu" or "elu".
        classes: 10 to condition on the digit that the picture is made of, else 0.
        seed: seed of the initial weights.

    Raises:
        ValueError: there is no such activation, the number of classes is neither 0 nor 10, or ``halvings`` is
            negative.
    """

    family = "sequential"
    citation = "Salimans et al. 2017, arXiv:1701.05517"
    default_preset = "digits"
    presets = {
        "cifar10": dict(resnets=5, filters=160, halvings=2, colours=3, levels=256),
        "digits": dict(resnets=1, filters=32, halvings=1, colours=1, levels=17, components=5),
        "digits_class": dict(resnets=1, filters=32, halvings=1, colours=1, levels=17, components=5, classes=10),
        "tiny": dict(resnets=1, filters=4, halvings=1, colours=3, levels=2, components=2),
        "tiny_class": dict(
            resnets=1, filters=3, halvings=1, colours=2, levels=2, components=2, activation="elu", classes=10
        ),
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
        resnets: int,
        filters: int,
        halvings: int,
        colours: int,
        levels: int,
        components: int = 10,
        activation: str = "concat_elu",
        classes: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if classes not in (0, DIGIT_CLASSES):
            raise ValueError(f"classes must be 0 or {DIGIT_CLASSES}, got {classes}")
        if halvings < 0:
            raise ValueError(f"halvings must be 0 or more, got {halvings}")
        g = torch.Generator().manual_seed(seed)
        self.colours, self.levels, self.classes = colours, levels, classes
        self.alphabets = {"class": classes} if classes else {}
        self.multiple = 2**halvings
        self.distribution = PixelMixture(levels, colours, components)
        self.enter_above = Conv(DOWN, colours + 1, filters, g)
        self.enter = ImageEntry(colours + 1, filters, g)
        self.above = Stream(DOWN, filters, resnets, halvings, activation, classes, False, g)
        self.left = Stream(DOWN_RIGHT, filters, resnets, halvings, activation, classes, True, g)
        self.params = WeightNormed(filters, self.distribution.params_width, g)
        numbered(self)
        self.ladder = [(self.multiple * side) ** 2 for side in (2, 3, 4, 6, 8)]
        self.count_ladder = [(self.multiple * side) ** 2 for side in (2, 3, 4, 5, 6)]

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {
            **config,
            "resnets": max(config["resnets"] // 5, 1),
            "filters": max(config["filters"] // 2, 2),
        }

    def encode(self, context: Context, n: int) -> _Code:
        """Return the folded weights and what the class adds to each resnet."""
        label = context["class"] if self.classes else None
        return _Code(FoldedWeights(self), offsets([self.above, self.left], label))

    @compilable()
    def forward(self, f: Tensor, code: _Code) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        side, ready = self.side(f.shape[1]), code.ready
        x = self.channels(f, self.params.gain.dtype).unflatten(1, (side, side))
        above = Whole(ready, code.offsets)
        self.above.run(down(self.enter_above(x, ready)), above)
        out = self.left.run(self.enter(x, ready), Whole(ready, code.offsets, taken=above.left))
        return ready(self.params, elu(out)).flatten(1, 2)

    def initialise(self, f: Tensor, code: _Code) -> None:
        """Set gains and biases from events (B, N), see ``Fitting``; encode the context again afterwards."""
        self.forward(f, _Code(Fitting(self), code.offsets))

    def start(self, batch: int, n: int, code: _Code) -> _State:
        """Return the state before the first element."""
        rows, lines = Rows(code.ready), Lines(code.ready, self.backend == COMPILE)
        return _State(0, batch, self.side(n), lines, rows=rows, offsets=code.offsets)

    def next_row(self, state: Raster) -> None:
        """Run the stream of the rows above for a row, and prepare the other stream."""
        assert isinstance(state, _State)
        row, shape = state.at // state.side, (state.batch, state.side)
        if state.image is None:
            x = self.params.gain.new_zeros(*shape, self.enter_above.bias.shape[0])
        else:
            x = state.rows(self.enter_above, state.image)
        above = ByRow(state.rows, state.offsets, row, state.second)
        self.above.run(x, above)
        ByPixel.begin_row(self.left, state.lines, state.doubled, state.offsets, above.left, row, *shape)

    def step(self, state: Raster, x: Tensor) -> Tensor:
        """Return the parameters (B, P) of the next pixel."""
        assert isinstance(state, _State)
        x = self.left.run(x, ByPixel(state.lines, state.doubled, *divmod(state.at, state.side)))
        return state.lines.ready(self.params, elu(x))

"""Multiscale PixelCNN: a small base image pixel by pixel, then doublings of the resolution in a few groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized, steady
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events import images
from arbench.models.layers.upscaling import CORNERS, Upscaler
from arbench.models.pixelcnn import PixelCNN

UNSEEN = len(CORNERS) - 1
"""Number of corners of a block that a doubling draws."""


@dataclass
class _Code:
    base: Any
    label: Tensor | None
    places: list[Tensor]
    """Element at each place (C, side, side) of the image before each doubling."""


@dataclass
class _State:
    code: _Code = field(metadata={"constant": True})
    base: Any
    """State of the base model."""
    corner: int | None = None
    """Corner that ``features`` belong to, counted over all doublings."""
    features: Tensor | None = None
    """Features (B, S S, W) of that corner, kept while its colours are drawn."""


@lru_cache(maxsize=32)
def _places(base: int, colours: int, doublings: int) -> Tensor:
    """Return the element at each place (colours, side, side) of the image after ``doublings``."""
    if not doublings:
        return torch.arange(base * base * colours).view(base, base, colours).permute(2, 0, 1)
    before = _places(base, colours, doublings - 1)
    side, size = before.shape[-1], before.numel()
    image = torch.empty(colours, 2 * side, 2 * side, dtype=torch.long)
    for corner, (row, column) in enumerate(CORNERS):
        new = torch.arange(corner * size, (corner + 1) * size).view(colours, side, side)
        image[:, row::2, column::2] = new if corner else before
    return image


class MultiscalePixelCNN(images.ImageSource, Source):
    """An element is one sub-pixel: N = C b^2 4^k after k doublings of a base image of b x b pixels.

    A gated PixelCNN draws the base image sub-pixel by sub-pixel. Each doubling takes the current image as the
    upper left corners of 2x2 blocks and draws the upper right ones, then the lower left, then the lower
    right, all pixels of a corner at once and colour after colour: 3 C groups. So sampling takes C b^2 + 3 C k
    steps, O(log N), and the likelihood is exact. In scoring all resolutions are known, so their networks run
    at once, none waiting for another. Lower resolutions are images of every other pixel, not averages.

    Every corner of every doubling has its own network; doublings beyond ``scales`` share the last one's.

    Presets:
        imagenet: 4x4 base from 10 gated layers of 128 channels, 6 doublings (to 256x256) of 12 residual
            blocks, 128 channels, 256-way softmax, 3 colours.
        digits: 2x2 base from 4 layers of 32 channels, 4 doublings (to 32x32) of 4 blocks, 32 channels, 17-way
            softmax, grey, conditioned on the digit.
        tiny, tiny_colour, tiny_class: 1x1 base, for tests.

    Source: Reed et al., *Parallel Multiscale Autoregressive Density Estimation*, 2017, sections 3 and 3.1.
    Upscaling networks are of its first kind (figure 2a: all pixels of a group independent), not of the second
    with a shallow PixelCNN over patches. The published network is evaluated again for each colour through
    channel masks; here it is evaluated once per corner, and small heads read the earlier colours. The base
    resolution and the groups are the paper's; depths and widths are this library's own. Weights start with
    variance 1/fan_in, embeddings of a class with variance 1, biases at zero.

    Args:
        base: side b of the base image.
        scales: doublings with their own weights, at least 1.
        base_layers: layers of the base's PixelCNN.
        base_channels: channels of the base's PixelCNN.
        blocks: residual blocks of an upscaling network.
        width: channels of an upscaling network.
        colours: sub-pixels of a pixel.
        levels: values of a sub-pixel.
        classes: 10 to condition on the digit that the picture is made of, else 0.
        kernels: kernel widths of the base's PixelCNN.
        seed: seed of the initial weights.

    Raises:
        ValueError: there is no base or no scale, or the number of classes is neither 0 nor 10.
    """

    family = "grouped"
    remark = "base resolution and groups are the paper's; depths and widths of the networks are this library's"
    citation = "Reed et al. 2017, arXiv:1703.03664"
    default_preset = "digits"
    presets = {
        "imagenet": dict(
            base=4, scales=6, base_layers=10, base_channels=128, blocks=12, width=128, colours=3, levels=256
        ),
        "digits": dict(
            base=2,
            scales=4,
            base_layers=4,
            base_channels=32,
            blocks=4,
            width=32,
            colours=1,
            levels=17,
            classes=10,
        ),
        "tiny": dict(base=1, scales=2, base_layers=2, base_channels=6, blocks=1, width=6, colours=1, levels=2),
        "tiny_colour": dict(base=1, scales=1, base_layers=2, base_channels=9, blocks=1, width=7, colours=3, levels=2),
        "tiny_class": dict(
            base=1,
            scales=3,
            base_layers=1,
            base_channels=6,
            blocks=1,
            width=6,
            colours=1,
            levels=3,
            classes=10,
        ),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "sequential"): Claim("1", "N"),
        ("sample", "naive"): Claim("log N", "N log N"),
        ("sample", "cached"): Claim("log N", "N"),
        ("sample", "speculative"): Claim("<= log N", "<= N log N"),
        ("sample", "rejection"): Claim("<= log N", "<= N log N"),
        **at_most("log N", "N log N"),
    }

    def __init__(
        self,
        *,
        base: int,
        scales: int,
        base_layers: int,
        base_channels: int,
        blocks: int,
        width: int,
        colours: int,
        levels: int,
        classes: int = 0,
        kernels: tuple[int, int] = (7, 3),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if base < 1 or scales < 1:
            raise ValueError(f"base and scales must be at least 1, got {base} and {scales}")
        self.first = base
        self.colours, self.levels, self.classes = colours, levels, classes
        self.base = PixelCNN(
            layers=base_layers,
            channels=base_channels,
            colours=colours,
            levels=levels,
            kernels=kernels,
            classes=classes,
            seed=seed,
        )
        self.distribution = Categorical(levels)
        self.alphabets = dict(self.base.alphabets)
        g = torch.Generator().manual_seed(seed + 1)
        self.scales = nn.ModuleList(
            nn.ModuleList(
                Upscaler(
                    known=known,
                    colours=colours,
                    width=width,
                    blocks=blocks,
                    outputs=levels,
                    classes=classes,
                    generator=g,
                )
                for known in range(1, len(CORNERS))
            )
            for _ in range(scales)
        )
        smallest = 1 if base > 1 else 2  # single corners of digits are too dark to differ from each other
        self.ladder = [self._size(k) for k in range(smallest, smallest + 5)]
        self.count_ladder = [self._size(k) for k in range(1, 7)]

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {
            **config,
            "base_layers": max(config["base_layers"] // 4, 1),
            "base_channels": max(config["base_channels"] // 4, 6),
            "blocks": config["blocks"] // 4,
            "width": max(config["width"] // 4, 4),
        }

    def _size(self, doublings: int) -> int:
        """Return N after ``doublings``."""
        return self.colours * self.first**2 * 4**doublings

    def _doublings(self, n: int) -> int:
        """Return how many doublings lead to ``n`` sub-pixels. Raise ValueError if none do."""
        k = 0
        while self._size(k) < n:
            k += 1
        if self._size(k) != n:
            near = sorted({self._size(max(k - 1, 0)), self._size(k)})
            raise ValueError(
                f"no doubling of {self.first}x{self.first} pixels (colours={self.colours}) has {n} sub-pixels; "
                f"near: {', '.join(map(str, near))}"
            )
        return k

    def side(self, n: int) -> int:
        """Return the side of the image with ``n`` sub-pixels. Raise ValueError if no doubling has so many."""
        return self.first * 2 ** self._doublings(n)

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups: sub-pixels of the base image, then colours of each corner."""
        found = list(range(self._size(0) + 1))
        for k in range(self._doublings(n)):
            pixels = self._size(k) // self.colours
            found += [found[-1] + pixels * (i + 1) for i in range(UNSEEN * self.colours)]
        return found

    def weights(self, n: int) -> int:
        """Return the number of parameters that ``n`` elements need."""
        used = list(self.scales)[: self._doublings(n)]
        return sum(p.numel() for part in (self.base, *used) for p in part.parameters())

    def encode(self, context: Context, n: int) -> _Code:
        """Return the encoded context of the base image, the class, and where elements are in smaller images."""
        device = self.base.hidden.weight.device
        places = [_places(self.first, self.colours, k).to(device) for k in range(self._doublings(n))]
        return _Code(self.base.encode(context, self._size(0)), context["class"] if self.classes else None, places)

    def _values(self, f: Tensor) -> Tensor:
        """Scale levels to [-1, 1]."""
        return f.to(self.base.hidden.weight.dtype) * (2 / (self.levels - 1)) - 1

    def _upscaler(self, corner: int) -> Upscaler:
        """Return the network of a corner, counted over all doublings."""
        k = min(corner // UNSEEN, len(self.scales) - 1)
        return cast(Upscaler, cast(nn.ModuleList, self.scales[k])[corner % UNSEEN])

    def _known(self, values: Tensor, corner: int, places: list[Tensor]) -> list[Tensor]:
        """Return the corners before ``corner``, (B, C, S, S) each, from the values (B, ..) of earlier elements."""
        k, number = divmod(corner, UNSEEN)
        at, size = places[k], self._size(k)
        shape = (values.shape[0], *at.shape)
        lower = values.index_select(1, at.flatten()).view(shape)
        return [lower, *(values[:, size * i : size * (i + 1)].view(shape) for i in range(1, number + 1))]

    def _colours(self, features: Tensor, values: Tensor, corner: int, first: int, last: int) -> list[Tensor]:
        """Return parameters (B, S S, P) of a corner's colours first .. last-1, given all earlier values."""
        k, number = divmod(corner, UNSEEN)
        begin, pixels = self._size(k) * (number + 1), self._size(k) // self.colours
        own = values[:, begin : begin + pixels * (last - 1)].unflatten(1, (-1, pixels)).transpose(1, 2)
        heads = self._upscaler(corner).heads
        return [heads[colour](features, own[..., :colour]) for colour in range(first, last)]

    @compilable()
    def forward(self, f: Tensor, code: _Code) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        values, size = self._values(f), self._size(0)
        found = [self.base(f[:, :size], code.base)]
        for corner in range(UNSEEN * self._doublings(f.shape[1])):
            features = self._upscaler(corner).features(self._known(values, corner, code.places), code.label)
            found += self._colours(features, values, corner, 0, self.colours)
        return torch.cat(found, dim=1)

    def start(self, batch: int, n: int, code: _Code) -> _State:
        """Return the state before the first element."""
        return _State(code, self.base.start(batch, self._size(0), code.base))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of groups g0 .. g1-1 and the advanced state."""
        size, found = self._size(0), []
        if g0 < min(g1, size):
            params, state.base = self.base.extend(state.base, f, g0, min(g1, size))
            found.append(params)
        at = max(g0 - size, 0)
        while at < g1 - size:
            corner, colour = divmod(at, self.colours)
            last = min(self.colours, colour + g1 - size - at)
            found += self._step(state, f, corner, colour, last)
            at += last - colour
        return torch.cat(found, dim=1) if len(found) > 1 else found[0], state

    def _step(self, state: _State, f: Tensor, corner: int, first: int, last: int) -> list[Tensor]:
        """Return parameters of a corner's colours first .. last-1, with its features from the state."""
        k, number = divmod(corner, UNSEEN)
        begin, pixels = self._size(k) * (number + 1), self._size(k) // self.colours
        values = self._values(f[:, : begin + pixels * (last - 1)])
        if state.corner != corner or state.features is None:
            known = self._known(values, corner, state.code.places)
            if self.backend == COMPILE:
                known = [sized(steady(one), 2, 3) for one in known]
            state.features, state.corner = self._upscaler(corner).features(known, state.code.label), corner
        return self._colours(state.features, values, corner, first, last)

    def mark(self, state: _State, g: int) -> tuple[int, Any]:
        """Return the base model's own mark; doublings recompute their features from the feed."""
        return g, self.base.mark(state.base, g) if g < self._size(0) else None

    def rewind(self, state: _State, mark: tuple[int, Any], f: Tensor, g: int) -> _State:
        """Rewind the base model and drop the features of the current corner."""
        at, kept = mark
        if at < self._size(0):
            state.base = self.base.rewind(state.base, kept, f, min(g, self._size(0)))
        state.features = state.corner = None
        return state

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real images as elements in the order of generation."""
        places = _places(self.first, self.colours, self._doublings(n))
        pictures, context = self.pictures(places.shape[-1], rows, seed, data)
        x = torch.empty(len(rows), n, dtype=pictures.dtype)
        x[:, places.flatten()] = pictures.permute(0, 3, 1, 2).flatten(1)
        return x, context

    def arranged(self, x: Tensor) -> Tensor:
        """Return the levels (B, H, W, C) of elements in the order of generation."""
        places = _places(self.first, self.colours, self._doublings(x.shape[1]))
        return x[:, places].permute(0, 2, 3, 1)

"""Grouped PixelCNN: any partition of the image into groups of pixels, each group drawn at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arbench.distributions import Categorical, DiscretizedLogisticMixture
from arbench.models.base import Claim, Context, Op, Source, at_most
from arbench.models.events import images
from arbench.models.events.partitions import GROWS, PARTITIONS, Partition, checked
from arbench.models.layers.local_masks import LocallyMaskedNet, NoPast, Past, Taps


class Layout(NamedTuple):
    """Order and groups in which an image of one size is generated."""

    order: Tensor
    """Raster number of each element's pixel, (N,)."""
    bounds: tuple[int, ...]
    """Bounds of the groups."""
    taps: Taps
    """Elements that each element reads."""


@lru_cache(maxsize=64)
def _layout(partition: Partition, groups: int, side: int, kernel: int, dilation: int) -> Layout:
    group = checked(partition(side, groups), side, groups)
    order = torch.argsort(group, stable=True)
    bounds = (0, *torch.bincount(group).cumsum(0).tolist())
    return Layout(order, bounds, Taps.of(group, order, side, kernel, dilation))


@dataclass
class _State:
    taps: Taps = field(metadata={"constant": True})
    past: Past


def _claims(depth: str) -> Mapping[tuple[Op, str], Claim]:
    """Return the claims for a number of groups that grows as ``depth``."""
    naive = {"1": "N", "log N": "N log N", "sqrt N": "<= N^2", "N": "N^2"}[depth]
    most = Claim(f"<= {depth}", f"<= {'N' if depth == '1' else 'N^2'}")
    return {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "sequential"): Claim("1", "N"),
        ("sample", "naive"): Claim(depth, naive),
        ("sample", "cached"): Claim(depth, "N"),
        ("sample", "speculative"): most,
        ("sample", "rejection"): most,
        **at_most(depth, "N" if depth == "1" else "N^2"),
    }


class GroupedPixelCNN(images.ImageSource, Source):
    """An element is one grey pixel; pixels of a group are independent given all groups before.

    The partition into groups is free: every position of a convolution has its own mask, which admits earlier
    groups in the first layer, and also the features of its own group in later ones. Scoring is one pass
    whatever the order. Sampling takes as many steps as there are groups: a fixed number, one per row
    (sqrt N), or one per pixel (N). A step computes only its own pixels and keeps the features of all earlier
    ones, since the partition decides which of them later steps read.

    Presets:
        mnist: the published network on 28x28 grey: 3 stages of 5 blocks, 160 channels, kernel 3, dilation 2
            between stages, mixture of 10 logistics over 256 levels, a pixel at a time along an S-curve.
        digits_g4, digits_g16: 2 stages of 2 blocks, 32 channels, 17-way softmax, in 4 or 16 groups of
            pixels that are spread apart.
        digits_rows: the same network, a row at a time.
        digits_factorised, digits_multiscale, digits_sequential: the same network, with all pixels at once, with three
            groups for each doubling of the picture, and with 64 groups, which are the single pixels of a digit.
            Each of factorised, g4, multiscale and sequential refines the one before it, but what pixels see does not
            grow with kernel 3: the finer the groups, the fewer pixels relay. With kernel 9 it grows.
        tiny, tiny_random, tiny_rows, tiny_curve, tiny_logistic: for tests.

    Source: Jain et al., *Locally Masked Convolution for Autoregressive Models*, 2020, for the network and
    the S-curve. The publication has one pixel per group; larger groups are a generalisation. Its CIFAR-10
    model draws a pixel's three colours jointly; images are grey here. Weights start with variance 1/fan_in,
    where the published code has PyTorch's defaults, and biases as there.

    Args:
        partition: 'rows', 'stripes', 'checkerboard', 'multiscale', 'random' or 's_curve'; or a function of
            (side, groups) that returns the group of each pixel, integers (side, side).
        groups: number of groups; 0 for the partition's own: one per row for 'rows', 1 + 3 log2 side for
            'multiscale', one per pixel for 'random' and 's_curve'.
        stages: see ``LocallyMaskedNet``.
        blocks: see ``LocallyMaskedNet``.
        channels: see ``LocallyMaskedNet``.
        levels: values of a pixel.
        components: components of the logistic mixture; 0 for a softmax.
        kernel: width of the convolutions, odd.
        dilation: dilation of the convolutions between stages.
        seed: seed of the initial weights.

    Raises:
        ValueError: there is no such partition, it needs a number of groups, or the kernel is even.
    """

    element = "pixel"
    family = "grouped"
    citation = "Jain et al. 2020, arXiv:2006.12486"
    default_preset = "digits_g4"
    colours = 1
    presets = {
        "mnist": dict(partition="s_curve", stages=3, blocks=5, channels=160, levels=256, components=10, dilation=2),
        "digits_g4": dict(partition="checkerboard", groups=4, stages=2, blocks=2, channels=32, levels=17),
        "digits_g16": dict(partition="checkerboard", groups=16, stages=2, blocks=2, channels=32, levels=17),
        "digits_rows": dict(partition="rows", stages=2, blocks=2, channels=32, levels=17),
        "digits_factorised": dict(partition="checkerboard", groups=1, stages=2, blocks=2, channels=32, levels=17),
        "digits_multiscale": dict(partition="multiscale", stages=2, blocks=2, channels=32, levels=17),
        "digits_sequential": dict(partition="checkerboard", groups=64, stages=2, blocks=2, channels=32, levels=17),
        "tiny": dict(partition="checkerboard", groups=4, stages=2, blocks=1, channels=5, levels=3),
        "tiny_random": dict(partition="random", groups=3, stages=1, blocks=1, channels=6, levels=2),
        "tiny_rows": dict(partition="rows", stages=1, blocks=1, channels=6, levels=3),
        "tiny_curve": dict(partition="s_curve", stages=1, blocks=2, channels=5, levels=2),
        "tiny_logistic": dict(partition="stripes", groups=2, stages=1, blocks=1, channels=6, levels=4, components=2),
    }
    claims = _claims("1")

    def __init__(
        self,
        *,
        partition: str | Partition,
        stages: int,
        blocks: int,
        channels: int,
        levels: int,
        groups: int = 0,
        components: int = 0,
        kernel: int = 3,
        dilation: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(partition, str) and partition not in PARTITIONS:
            raise ValueError(f"unknown partition '{partition}'; available: {', '.join(PARTITIONS)}")
        if groups < 0 or (isinstance(partition, str) and not groups and partition not in GROWS):
            raise ValueError(f"partition '{partition}' needs a positive number of groups, got {groups}")
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        self.partition = PARTITIONS[partition] if isinstance(partition, str) else partition
        self.groups, self.levels, self.kernel, self.dilation = groups, levels, kernel, dilation
        self.distribution = DiscretizedLogisticMixture(levels, components) if components else Categorical(levels)
        self.net = LocallyMaskedNet(
            stages=stages,
            blocks=blocks,
            channels=channels,
            taps=kernel * kernel,
            outputs=self.distribution.params_width,
            generator=torch.Generator().manual_seed(seed),
        )
        if not groups:
            known = isinstance(partition, str)
            self.claims = _claims(GROWS[partition]) if known else {}  # type: ignore[index,misc]
        least = next(side for side in range(2, groups + 3) if side * side >= groups)
        self.ladder = [side * side for side in (8, 12, 16, 24, 32)]
        self.count_ladder = [side * side for side in range(least, 2 * least + 3)]
        if partition == "multiscale":  # the number of groups is a whole number of doublings
            self.ladder = [side * side for side in (2, 4, 8, 16, 32)]
            self.count_ladder = [side * side for side in (2, 4, 8, 16, 32)]

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        blocks, channels = min(config["blocks"] // 2, 1), max(config["channels"] // 4, 4)
        return {**config, "stages": 1, "blocks": blocks, "channels": channels}

    def layout(self, n: int) -> Layout:
        """Return order and groups of an image of ``n`` pixels."""
        return _layout(self.partition, self.groups, self.side(n), self.kernel, self.dilation)

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups that the partition makes."""
        return self.layout(n).bounds

    def _read(self, x: Tensor) -> Tensor:
        """Turn elements (B, M) into the network's input (B, M, 2): values in [-1, 1], and ones."""
        dtype = self.net.last.weight.dtype
        scaled = x.to(torch.promote_types(dtype, torch.float32)) * (2 / (self.levels - 1)) - 1
        return torch.stack([scaled.to(dtype), torch.ones_like(scaled, dtype=dtype)], dim=-1)

    def encode(self, context: Context, n: int) -> Taps:
        """Return where each element reads, on the device of the weights."""
        return self.layout(n).taps.to(self.net.last.weight.device)

    def start(self, batch: int, n: int, code: Taps) -> _State:
        """Return the state before the first element."""
        return _State(code, Past(batch, n))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of groups g0 .. g1-1 and the advanced state."""
        bounds = self.schedule(f.shape[1])
        begin, end = bounds[max(g0 - 1, 0)], bounds[max(g1 - 1, 0)]
        read = self._read(f[:, begin:end])
        return self.net(read, state.past, begin, bounds[g0], bounds[g1], state.taps), state

    def forward(self, f: Tensor, code: Taps) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        return self.net(self._read(f), NoPast(), 0, 0, f.shape[1], code)

    def mark(self, state: _State, g: int) -> int:
        """Return the group: later rows of the state are written again before they are read."""
        return g

    def rewind(self, state: _State, mark: int, f: Tensor, g: int) -> _State:
        """Return the state as it is: rows of later groups are written again before they are read."""
        return state

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real images as pixels in the order of generation."""
        pictures, context = self.pictures(self.side(n), rows, seed, data)
        return pictures.reshape(len(rows), n)[:, self.layout(n).order], context

    def arranged(self, x: Tensor) -> Tensor:
        """Return the levels (B, H, W, 1) of pixels in the order of generation."""
        pictures = torch.empty_like(x)
        pictures[:, self.layout(x.shape[1]).order] = x
        return super().arranged(pictures)

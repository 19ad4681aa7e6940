"""MADE: a masked autoencoder over the pixels of a picture, in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from arbench.distributions import by_name
from arbench.models.base import Claim, Context, Op, Source, at_most
from arbench.models.events import ordered
from arbench.models.layers.factor_mlps import FactorMLPs
from arbench.models.layers.masked_mlp import LARGEST, MaskedMLP

SHARING = ("all", "none")
"""Whose weights factors share: all of them one set, or none of them any."""


def _claims(depth: str, work: str, repeated: str) -> Mapping[tuple[Op, str], Claim]:
    """Return the claims, given depth of stepwise scoring, work of one pass and of one pass per element."""
    most = Claim("<= N", f"<= {repeated}")
    return {
        ("score", "parallel"): Claim("1", work),
        ("score", "sequential"): Claim(depth, work),
        ("sample", "naive"): Claim("N", repeated),
        ("sample", "cached"): Claim("N", work),
        ("sample", "speculative"): most,
        ("sample", "rejection"): most,
        **at_most("N", repeated),
    }


class MADE(ordered.OrderedPixels, Source):
    """An element is one grey pixel, in any order; an event of n elements is the first n of that order.

    One perceptron with masked weights computes the parameters of all pixels. A pixel enters as a number from
    0 to 1, or one-hot with more than 2 levels under ``loss="softmax"``. Real pixels (``loss="gaussian"`` and
    others) are dequantised and put through the logit. A step adds the previous pixel to the first layer's
    sums, a chain of N additions, and evaluates the units that it completes: its work does not grow with N.

    With ``sharing="none"`` each pixel has a perceptron with its own weights, whose number grows as N^2; with
    ``sharing="all"`` it grows as N. A step then reads all earlier pixels.

    Presets:
        mnist: 2 hidden layers of 512, 28x28 binary pixels.
        paper: 2 hidden layers of 8,000, 28x28 binary pixels, the best of MADE's on MNIST.
        mnist_gaussian: 2 hidden layers of 1,024, one Gaussian per pixel: the baseline of MAF's publication.
        digits: 2 hidden layers of 512, 8x8 pixels of 17 levels.
        factors: 64 networks of one hidden layer of 16, 8x8 binary pixels, nothing shared.
        tiny, tiny_levels, tiny_factors, tiny_gaussian: for tests.

    Sources: Germain et al., *MADE: Masked Autoencoder for Distribution Estimation*, 2015; for Gaussians
    Papamakarios et al., *Masked Autoregressive Flow*, 2017. Deviations from the published code: a binary
    pixel has two logits, not one; degrees are evenly spaced; there is one mask and one order, not 32; direct
    connections from inputs to outputs, which make a step's work grow with N, are left out. Weights start with
    variance 1/fan_in of the unmasked inputs, those of a real pixel's parameters with a tenth of that scale;
    biases at zero.

    Args:
        pixels: D of a square picture, the most elements of an event.
        hidden: units of each hidden layer; of each pixel's network with ``sharing="none"``.
        levels: levels of a pixel.
        order: "raster", "reverse", "random", or the number of each element's pixel.
        sharing: "all" for one set of weights, "none" for one set per pixel.
        loss: name of a pixel's distribution: a key of ``arbench.distributions.LOSSES``.
        components: components of a mixture.
        seed: seed of the initial weights.

    Raises:
        ValueError: no square has so many pixels, the order is not a permutation of them, or there is no such
            sharing or loss.
    """

    family = "sequential"
    citation = "Germain et al. 2015, arXiv:1502.03509"
    default_preset = "mnist"
    presets = {
        "mnist": dict(pixels=784, hidden=(512, 512)),
        "paper": dict(pixels=784, hidden=(8000, 8000)),
        "mnist_gaussian": dict(pixels=784, hidden=(1024, 1024), levels=256, loss="gaussian"),
        "digits": dict(pixels=64, hidden=(512, 512), levels=17),
        "factors": dict(pixels=64, hidden=(16,), sharing="none"),
        "tiny": dict(pixels=64, hidden=(378, 441), order="random"),
        "tiny_levels": dict(pixels=64, hidden=(504,), levels=4),
        "tiny_factors": dict(pixels=64, hidden=(15, 12), levels=3, order="reverse", sharing="none"),
        "tiny_gaussian": dict(pixels=64, hidden=(480,), levels=17, loss="gaussian"),
    }
    claims = _claims("N", "N", "N^2")

    def __init__(
        self,
        *,
        pixels: int,
        hidden: Sequence[int],
        levels: int = 2,
        order: str | Sequence[int] = "raster",
        sharing: str = "all",
        loss: str = "softmax",
        components: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if sharing not in SHARING:
            raise ValueError(f"unknown sharing '{sharing}'; available: {', '.join(SHARING)}")
        self.distribution = by_name(loss, levels, components)
        self.arrange(pixels, order, levels, real=not self.distribution.finite)
        self.symbols: Tensor | None
        one_hot = loss == "softmax" and levels > 2
        self.register_buffer("symbols", torch.arange(levels) if one_hot else None, persistent=False)
        network = MaskedMLP if sharing == "all" else FactorMLPs
        self.net = network(
            elements=pixels,
            inputs=levels if one_hot else 1,
            outputs=self.distribution.params_width,
            hidden=hidden,
            scale=0.1 if self.real else 1.0,
            generator=torch.Generator().manual_seed(seed),
        )
        if sharing == "none":
            self.claims = _claims("1", "N^2", "N^3")  # type: ignore[misc]

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "hidden": (max(config["hidden"][0] // 4, 4),)}

    def weights(self, n: int) -> int:
        """Return the number of parameters that ``n`` elements need."""
        return self.net.weights(n)

    def _enter(self, f: Tensor) -> Tensor:
        """Turn elements (B, M) into the network's input (B, M, E)."""
        dtype = next(self.net.parameters()).dtype
        if self.symbols is not None:
            return (f.unsqueeze(-1) == self.symbols).to(dtype)
        if self.real:
            return f.clamp(-LARGEST, LARGEST).unsqueeze(-1)
        value = f.to(dtype)
        return (value if self.levels == 2 else value / (self.levels - 1)).unsqueeze(-1)

    def encode(self, context: Context, n: int) -> Any:
        """Return the weights for events of ``n`` elements; there is no context."""
        return self.net.ready(n)

    def start(self, batch: int, n: int, code: Any) -> Any:
        """Return the state before the first element."""
        return self.net.start(batch, code)

    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Any]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        inputs = self._enter(f[:, self.net.reads_from(g0) : g1 - 1])
        return self.net.extend(state, inputs, g0, g1), state

    def forward(self, f: Tensor, code: Any) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        return self.net(self._enter(f[:, :-1]), code)

"""Masked and inverse autoregressive flows: one network, read from the pixels or from the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arbench.distributions import Normal
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events import ordered
from arbench.models.layers.masked_mlp import LARGEST, MaskedMLP, MLPState, Ready
from arbench.models.parallel_wavenet import compose

LOG_SCALE = 5.0
"""Most that one layer's log-scale is, above or below 0: a guess far off must stay a number."""
NEAR_IDENTITY = 0.1
"""Scale of each layer's mean and log-scale at the start, over the usual."""


@dataclass
class FlowState:
    layers: list[MLPState]
    last: list[tuple[Tensor, Tensor]]
    """Each layer's mean and log-scale at the element before, (B, 1); (B, 0) at the beginning."""


class AffineFlow(nn.Module):
    """A stack of layers g_t = f_t exp(s_t) + m_t, with m_t and s_t functions of the layer's f before t.

    Each layer's function is a ``MaskedMLP`` of weight-normalised units, and all have one order. So the whole
    is again affine in f_t given the f before t, which is what makes one step an element possible.

    Args:
        elements: D.
        layers: how many.
        hidden: units of each hidden layer of each network.
        generator: of the initial weights.
    """

    def __init__(self, *, elements: int, layers: int, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a flow has one layer at least, got {layers}")
        self.layers = nn.ModuleList(
            MaskedMLP(
                elements=elements,
                inputs=1,
                outputs=2,
                hidden=hidden,
                generator=generator,
                normalised=True,
                scale=NEAR_IDENTITY,
            )
            for _ in range(layers)
        )

    def _layers(self) -> list[MaskedMLP]:
        return [layer for layer in self.layers if isinstance(layer, MaskedMLP)]

    def weights(self, n: int) -> int:
        """Parameters of a flow of ``n`` elements."""
        return sum(layer.weights(n) for layer in self._layers())

    def ready(self, n: int) -> list[Ready]:
        """Weights for events of ``n`` elements."""
        return [layer.ready(n) for layer in self._layers()]

    def forward(self, f: Tensor, ready: list[Ready]) -> tuple[Tensor, Tensor]:
        """Composed mean and log-scale, (B, N) each, from f (B, N)."""
        composed = None
        for layer, weights in zip(self._layers(), ready, strict=True):
            mean, log_scale = _affine(layer(_inputs(f[:, :-1]), weights))
            composed = compose(composed, mean, log_scale)
            f = f * log_scale.exp() + mean
        assert composed is not None
        return composed

    def start(self, batch: int, ready: list[Ready]) -> FlowState:
        layers = [layer.start(batch, weights) for layer, weights in zip(self._layers(), ready, strict=True)]
        none = layers[0].sums.new_zeros(batch, 0)
        return FlowState(layers, [(none, none)] * len(layers))

    def extend(self, state: FlowState, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Tensor]:
        """As ``forward`` for elements g0 .. g1-1. The state goes along."""
        past, composed = f[:, max(g0 - 1, 0) : g1 - 1], None
        for i, layer in enumerate(self._layers()):
            mean, log_scale = _affine(layer.extend(state.layers[i], _inputs(past), g0, g1))
            composed = compose(composed, mean, log_scale)
            before = [
                torch.cat([old, new[:, :-1]], dim=1) for old, new in zip(state.last[i], (mean, log_scale), strict=True)
            ]
            past = past * before[1].exp() + before[0]
            state.last[i] = mean[:, -1:], log_scale[:, -1:]
        assert composed is not None
        return composed

    def initialise(self, f: Tensor) -> None:
        """Weight normalisation's initialisation from data (B, D), layer after layer: see
        ``MaskedMLP.initialise``."""
        for layer in self._layers():
            inputs = _inputs(f[:, :-1])
            layer.initialise(inputs)
            mean, log_scale = _affine(layer(inputs, layer.ready(f.shape[1])))
            f = f * log_scale.exp() + mean


def _inputs(f: Tensor) -> Tensor:
    return f.clamp(-LARGEST, LARGEST).unsqueeze(-1)


def _affine(params: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = params.unbind(-1)
    return mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE)


class _PixelFlow(ordered.OrderedPixels, Source):
    """What both directions share: pixels made real, the stack, a standard normal behind it."""

    def __init__(
        self,
        *,
        pixels: int,
        layers: int,
        hidden: Sequence[int],
        levels: int = 256,
        order: str | Sequence[int] = "raster",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.distribution = Normal(log_scale_floor=-torch.inf)
        self.arrange(pixels, order, levels, real=True)
        # shorter events than the stack is deep end before each layer's chain of sums is the longest path
        least = 4 * -(-(layers + 1) // 4)
        self.count_ladder = [n for n in (least * k for k in (1, 2, 3, 4, 6)) if n <= pixels]
        generator = torch.Generator().manual_seed(seed)
        self.flow = AffineFlow(elements=pixels, layers=layers, hidden=hidden, generator=generator)

    def weights(self, n: int) -> int:
        return self.flow.weights(n)

    def encode(self, context: Context, n: int) -> list[Ready]:
        return self.flow.ready(n)

    def start(self, batch: int, n: int, code: list[Ready]) -> FlowState:
        return self.flow.start(batch, code)

    def extend(self, state: FlowState, f: Tensor, g0: int, g1: int) -> tuple[Tensor, FlowState]:
        return self._params(*self.flow.extend(state, f, g0, g1)), state

    def forward(self, f: Tensor, code: list[Ready]) -> Tensor:
        return self._params(*self.flow(f, code))

    def _params(self, mean: Tensor, log_scale: Tensor) -> Tensor:
        """Mean and log-scale (B, M, 2) of pixels given their noise, from the flow's composed ones."""
        raise NotImplementedError

    def initialise(self, f: Tensor, code: list[Ready]) -> None:
        """Gains and biases from a feed (B, D), such that what enters each unit has mean 0 and variance 1:
        pixels for a masked flow, noise for an inverse one.

        Raises:
            ValueError: fewer than two events, or not whole ones.
        """
        self.flow.initialise(f)


class MAF(_PixelFlow):
    """An element is one grey pixel, made real; the network reads past *pixels*, so scoring takes one pass.

    The noise is u_t = x_t exp(s_t) + m_t, layer by layer, with m_t and s_t functions of that layer's values
    before t; so given the pixels before t, x_t is normal. In the paper's terms, x_t = u_t exp(a_t) + b_t
    with a_t = -s_t and b_t = -m_t exp(-s_t). ``IAF`` with the same weights is its mirror: sampling here is
    inverting there, pixels and noise exchanged.

    Presets:
        mnist: 5 layers of 2 hidden layers of 1,024, 28x28 pixels (MAF (5)).
        mnist_10: 10 such layers (MAF (10)).
        digits: 3 layers of 2 hidden layers of 256, 8x8 pixels.
        tiny: for tests.

    Source: Papamakarios et al., *Masked Autoregressive Flow for Density Estimation*, 2017, hidden layers as
    in its published code; pixels dequantised and put through the logit as there, and from digits where MNIST
    does not ship. Deviations. The published stack reverses the order from layer to layer, which is no
    autoregressive factorisation of x and costs one sampling loop a layer; here all layers have one order, and
    sampling is one loop. There is no batch normalisation between layers; units are weight-normalised
    (Salimans and Kingma, 2016), with ``initialise`` from data. A layer's log-scale is held within 5 of 0 and
    what it reads within 1,000: a guess far off must stay a number. Weights start with variance 1/fan_in,
    biases at zero, each layer's outputs with a tenth of that scale, so that a layer starts near the identity.

    Args:
        pixels: D of a square picture, the most elements of an event.
        layers: of the flow.
        hidden: units of each hidden layer of each network.
        levels: of a pixel before it is made real.
        order: "raster", "reverse", "random", or the number of each element's pixel.
        seed: of the initial weights.

    Raises:
        ValueError: no square has so many pixels, or an order that is no permutation of them.
    """

    family = "sequential"
    source = "Papamakarios et al. 2017, arXiv:1705.07057"
    default_preset = "mnist"
    presets = {
        "mnist": dict(pixels=784, layers=5, hidden=(1024, 1024)),
        "mnist_10": dict(pixels=784, layers=10, hidden=(1024, 1024)),
        "digits": dict(pixels=64, layers=3, hidden=(256, 256), levels=17),
        "tiny": dict(pixels=64, layers=2, hidden=(250, 260), levels=4),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "sequential"): Claim("N", "N"),
        ("sample", "naive"): Claim("N", "N^2"),
        ("sample", "cached"): Claim("N", "N"),
        **at_most(),
    }

    def _params(self, mean: Tensor, log_scale: Tensor) -> Tensor:
        return torch.stack([-mean * (-log_scale).exp(), -log_scale], dim=-1)


class IAF(_PixelFlow):
    """An element is one grey pixel, made real; the network reads past *noise*, so sampling takes one pass.

    x_t = z_t exp(s_t) + m_t, layer by layer, with m_t and s_t functions of that layer's values before t.
    Scoring its own samples, whose noise is known, is free; of other pictures the noise must be found first,
    element by element or by fixed-point iteration. ``MAF`` with the same weights is its mirror.

    Presets:
        mnist: the networks of MAF (5): 5 layers of 2 hidden layers of 1,024, 28x28 pixels.
        digits: 3 layers of 2 hidden layers of 256, 8x8 pixels.
        tiny: for tests.

    Source: Kingma et al., *Improving Variational Inference with Inverse Autoregressive Flow*, 2016, eq. 10,
    there an approximate posterior, here a generator of pixels. All layers have one order, where the paper
    reverses it from layer to layer; scales are exponentials, where the paper has gates; there is no context.
    Weights and their initialisation as in ``MAF``.

    Args:
        pixels, layers, hidden, levels, order, seed: as in ``MAF``.

    Raises:
        ValueError: as in ``MAF``.
    """

    family = "flow"
    source = "Kingma et al. 2016, arXiv:1606.04934"
    feeds = "z"
    default_preset = "mnist"
    presets = {
        "mnist": dict(pixels=784, layers=5, hidden=(1024, 1024)),
        "digits": dict(pixels=64, layers=3, hidden=(256, 256), levels=17),
        "tiny": dict(pixels=64, layers=2, hidden=(270, 252), levels=4),
    }
    claims = {
        ("sample", "parallel"): Claim("1", "N"),
        ("score", "own_samples"): Claim("1", "N"),
        ("score", "inversion"): Claim("N", "N"),
        ("score", "inversion_fixed_point"): Claim("<= N", "<= N^2"),
        ("score", "inversion_blocks"): Claim("<= N", "<= N^2"),
    }

    def _params(self, mean: Tensor, log_scale: Tensor) -> Tensor:
        return torch.stack([mean, log_scale], dim=-1)

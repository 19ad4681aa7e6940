"""Masked autoregressive flow: the network reads past pixels, so scoring takes one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.models.base import Claim, at_most
from arbench.models.events.pixel_flow import PixelFlow


class MAF(PixelFlow):
    """An element is one grey pixel as a real number; the network reads past *pixels*: scoring takes one pass.

    The noise is u_t = x_t exp(s_t) + m_t, layer by layer, with m_t and s_t functions of that layer's values
    before t; so given the pixels before t, x_t is normal. In the paper's terms, x_t = u_t exp(a_t) + b_t
    with a_t = -s_t and b_t = -m_t exp(-s_t). ``IAF`` with the same weights is the mirror image: sampling here
    is inversion there, with pixels and noise exchanged.

    Presets:
        mnist: 5 layers of 2 hidden layers of 1,024, 28x28 pixels (MAF (5)).
        mnist_10: 10 such layers (MAF (10)).
        digits: 3 layers of 2 hidden layers of 256, 8x8 pixels.
        tiny: for tests.

    Source: Papamakarios et al., *Masked Autoregressive Flow for Density Estimation*, 2017, with the hidden
    layers of its published code. As there, pixels are dequantised and put through the logit; they come from
    UCI digits, since MNIST does not ship. Deviations:

    - The published stack reverses the order from layer to layer, which is no autoregressive factorisation of
      x and costs one sampling loop a layer; here all layers have one order, and sampling is one loop.
    - There is no batch normalisation between layers; units are weight-normalised (Salimans and Kingma, 2016),
      and ``initialise`` sets gains and biases from data.
    - A layer's log-scale is clamped to [-5, 5] and its inputs to [-1,000, 1,000], so that even a far-off guess
      stays finite.
    - Weights start with variance 1/fan_in and biases at zero; each layer's outputs have a tenth of that
      scale, so that a layer starts near the identity.

    Args:
        pixels: D of a square picture, the most elements of an event.
        layers: number of layers of the flow.
        hidden: units of each hidden layer of each network.
        levels: levels of a pixel before it is mapped to a real number.
        order: "raster", "reverse", "random", or the number of each element's pixel.
        seed: seed of the initial weights.

    Raises:
        ValueError: no square has so many pixels, or the order is not a permutation of them.
    """

    family = "sequential"
    citation = "Papamakarios et al. 2017, arXiv:1705.07057"
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

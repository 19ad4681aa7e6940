"""Inverse autoregressive flow: the network reads past noise, so sampling takes one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.models.base import Claim
from arbench.models.events.pixel_flow import PixelFlow


class IAF(PixelFlow):
    """An element is one grey pixel as a real number; the network reads past *noise*: sampling takes one pass.

    x_t = z_t exp(s_t) + m_t, layer by layer, with m_t and s_t functions of that layer's values before t.
    Scoring its own samples, whose noise is known, is free; for other pictures the noise must be found first,
    element by element or by fixed-point iteration. ``MAF`` with the same weights is the mirror image.

    Presets:
        mnist: the networks of MAF (5): 5 layers of 2 hidden layers of 1,024, 28x28 pixels.
        digits: 3 layers of 2 hidden layers of 256, 8x8 pixels.
        tiny: for tests.

    Source: Kingma et al., *Improving Variational Inference with Inverse Autoregressive Flow*, 2016, eq. 10,
    where the flow is an approximate posterior; here it generates pixels. All layers have one order, where the
    paper reverses it from layer to layer; scales are exponentials, where the paper has gates; there is no
    context. Weights and their initialisation are those of ``MAF``.

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

    family = "flow"
    citation = "Kingma et al. 2016, arXiv:1606.04934"
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

"""Faults to plant in laws of an element: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    Distribution,
    GaussianMixture,
    Logistic,
    Normal,
    PixelMixture,
)
from arbench.distributions.mixture import Mixture
from arbench.distributions.pixel_mixture import pack, unpack

Patch = pytest.MonkeyPatch
LAWS = (Categorical, DiscretizedLogisticMixture, Logistic, Normal, GaussianMixture, PixelMixture)


def wrong_log_determinant(patch: Patch) -> None:
    invert = Logistic.invert
    patch.setattr(Logistic, "invert", lambda self, p, x: (invert(self, p, x)[0], p[..., 1]))


def scale_not_in_the_density(patch: Patch) -> None:
    for law in (Logistic, Normal):
        right = law.log_prob
        patch.setattr(law, "log_prob", lambda self, p, x, right=right: right(self, p, x) + p[..., 1])


def wrong_density(patch: Patch) -> None:
    """All probabilities a thousandth too large."""
    for law in LAWS:
        patch.setattr(law, "log_prob", lambda self, p, x, right=law.log_prob: right(self, p, x) + 1e-3)


def dull_noise(patch: Patch) -> None:
    """Draws at three quarters of the noise: too often the likeliest element."""
    for law in LAWS:
        patch.setattr(law, "draw", lambda self, p, z, right=law.draw: right(self, p, 0.75 * z))


def weights_not_normalised(patch: Patch) -> None:
    """A mixture's logits are taken for log-weights."""

    def log_prob(self: Mixture, params: Tensor, x: Tensor) -> Tensor:
        logits, each = self._parts(params)
        return torch.logsumexp(logits + self.component.log_prob(each, x.unsqueeze(-1)), dim=-1)

    patch.setattr(Mixture, "log_prob", log_prob)


def likeliest_component(patch: Patch) -> None:
    """A mixture draws from its likeliest component."""
    draw = Mixture.draw
    still = torch.tensor(0.0).double()
    patch.setattr(
        Mixture,
        "draw",
        lambda self, p, z: draw(self, p, torch.cat([still.expand_as(z[..., :-1]), z[..., -1:]], -1)),
    )


def noise_repeats(patch: Patch) -> None:
    """Every second element is drawn by the noise of the one before."""
    noise = Distribution.noise

    def off(self: Distribution, *args: Any, **kwargs: Any) -> Tensor:
        z = noise(self, *args, **kwargs)
        return torch.cat([z[:, i - i % 2 : i - i % 2 + 1] for i in range(z.shape[1])], dim=1)

    patch.setattr(Distribution, "noise", off)


def channels_not_rounded(patch: Patch) -> None:
    """A channel conditions the next before it is rounded, as the published code has it."""

    def draw(self: PixelMixture, params: Tensor, z: Tensor) -> Tensor:
        fine = PixelMixture(2**16, self.colours, self.components)
        channels = unpack(right(fine, params, z), fine.channel_levels, self.colours)
        top = self.channel_levels - 1
        return pack((channels * (top / (fine.channel_levels - 1))).round().long(), self.channel_levels)

    right = PixelMixture.draw
    patch.setattr(PixelMixture, "draw", draw)

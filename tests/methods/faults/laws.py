"""Faults to plant in laws of an element: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log, pi
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
    logistic_mixture,
    pixel_mixture,
)
from arbench.distributions.location_scale import LocationScale
from arbench.distributions.mixture import Mixture
from arbench.distributions.pixel_mixture import pack, unpack
from arbench.kernels import KERNELS

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


# Laws that are not what they are called --------------------------------------------------------------------


def _log_prob(patch: Patch, change: Callable[[Any, Tensor, Tensor, Callable[..., Tensor]], Tensor]) -> None:
    """Replace the log-probability of every law; ``change`` takes the right one."""
    for law in LAWS:
        right = law.log_prob
        patch.setattr(law, "log_prob", lambda self, p, x, right=right: change(self, p, x, right))


def probability_shifted(patch: Patch) -> None:
    """All log-probabilities 0.7 too large."""
    _log_prob(patch, lambda self, p, x, right: right(self, p, x) + 0.7)


def probability_scaled(patch: Patch) -> None:
    """All log-probabilities 1.1 times too far from 0."""
    _log_prob(patch, lambda self, p, x, right: 1.1 * right(self, p, x))


def bits_for_nats(patch: Patch) -> None:
    """Log-probabilities to base 2."""
    _log_prob(patch, lambda self, p, x, right: right(self, p, x) / log(2))


def warm(patch: Patch) -> None:
    """Log-probabilities at a temperature of 1.05."""
    _log_prob(patch, lambda self, p, x, right: right(self, p / 1.05, x))


def another_level(patch: Patch) -> None:
    """The log-probability of the level above."""
    _log_prob(patch, lambda self, p, x, right: right(self, p, (x + 1) % self.levels if self.finite else x + 0.01))


def last_component_forgotten(patch: Patch) -> None:
    """A mixture's last component has no weight in its log-probability."""

    def off(self: Any, p: Tensor, x: Tensor, right: Callable[..., Tensor]) -> Tensor:
        count = getattr(self, "components", 1)
        if count == 1:
            return right(self, p, x)
        p = p.clone()
        p[..., count - 1] = -1e4
        return right(self, p, x)

    _log_prob(patch, off)


def logits_not_normalised(patch: Patch) -> None:
    """A logit is taken for a log-probability."""
    patch.setattr(Categorical, "log_prob", lambda self, p, x: p.gather(-1, x.unsqueeze(-1)).squeeze(-1))


def edges_forgotten(patch: Patch) -> None:
    """The first and the last level have no more than their bin."""

    def off(x: Tensor, means: Tensor, log_scales: Tensor, levels: int) -> Tensor:
        half, centre = 1 / (levels - 1), x * (2 / (levels - 1)) - 1 - means
        a, b = ((centre + side) * (-log_scales).exp() for side in (-half, half))
        return (b.double().sigmoid() - a.double().sigmoid()).log().to(means.dtype)

    for module in (logistic_mixture, pixel_mixture):
        patch.setattr(module, "log_mass", off)


def no_log_determinant(patch: Patch) -> None:
    """A flow's density has no log-determinant."""
    for law in (Logistic, Normal):
        right = law.log_prob
        patch.setattr(law, "log_prob", lambda self, p, x, right=right: right(self, p, x) + self._split(p)[1])
        invert = law.invert
        patch.setattr(law, "invert", lambda self, p, x, i=invert: (i(self, p, x)[0], torch.zeros_like(x)))


def half_dropped(patch: Patch) -> None:
    """The normal density is exp(-t^2)."""
    patch.setattr(Normal, "log_density", lambda self, t: -t.square() - 0.5 * log(2 * pi))


def mean_for_scale(patch: Patch) -> None:
    """Mean and log-scale change places, in draws and probabilities alike."""
    patch.setattr(LocationScale, "_split", lambda self, p: (p[..., 1], p[..., 0].clamp_min(self.log_scale_floor)))


def next_level_drawn(patch: Patch) -> None:
    """One draw in 20 is a level too high."""
    for law in (Categorical, DiscretizedLogisticMixture, PixelMixture):

        def off(self: Any, p: Tensor, z: Tensor, right: Any = law.draw) -> Tensor:
            x = right(self, p, z)
            return torch.where(z[..., 0].abs() * 100 % 1 < 0.05, (x + 1) % self.levels, x)

        patch.setattr(law, "draw", off)


def scaled_on_numba(patch: Patch) -> None:
    """The Numba kernels of log-probabilities give 1.1 times theirs."""
    for name in ("log_prob_from_logits", "logistic_mixture_log_prob"):
        kernel = KERNELS[name]

        def off(*args: Any, backend: str, right: Any = kernel.call, **more: Any) -> Tensor:
            found = right(*args, backend=backend, **more)
            return found * 1.1 if backend == "numba" else found

        patch.setitem(KERNELS, name, replace(kernel, call=off))

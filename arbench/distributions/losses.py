"""Losses by their usual names; each is the negative log-probability of a distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from arbench.border.suggest import did_you_mean
from arbench.distributions.base import Distribution
from arbench.distributions.categorical import Categorical
from arbench.distributions.logistic import Logistic
from arbench.distributions.logistic_mixture import DiscretizedLogisticMixture
from arbench.distributions.mixture import GaussianMixture, LogisticMixture
from arbench.distributions.normal import Normal

LOSSES: Mapping[str, Callable[[int, int], Distribution]] = {
    "softmax": lambda levels, components: Categorical(levels),
    "gaussian": lambda levels, components: Normal(),
    "gaussian_mixture": lambda levels, components: GaussianMixture(components),
    "logistic": lambda levels, components: Logistic(),
    "logistic_mixture": lambda levels, components: LogisticMixture(components),
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
}
"""Constructors of distributions from (levels, components), by the name of the loss."""


def by_name(loss: str, levels: int, components: int) -> Distribution:
    """Return the distribution of an element whose negative log-probability is the loss.

    Args:
        loss: a key of ``LOSSES``.
        levels: number of values of an element, for finite distributions.
        components: number of components, for mixtures.

    Raises:
        ValueError: an unknown loss, or too few levels or components for it.
    """
    if loss not in LOSSES:
        raise ValueError(f"unknown loss '{loss}'; {did_you_mean(loss, LOSSES)}")
    return LOSSES[loss](levels, components)

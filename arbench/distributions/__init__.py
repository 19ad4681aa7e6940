"""Conditional distributions of one element: draws as functions of noise, log-probabilities, margins, inverses."""

from arbench.distributions.base import Distribution, uniforms
from arbench.distributions.categorical import Categorical
from arbench.distributions.laws import LAWS, law_of
from arbench.distributions.logistic import Logistic
from arbench.distributions.logistic_mixture import DiscretizedLogisticMixture
from arbench.distributions.losses import LOSSES, by_name
from arbench.distributions.mixture import GaussianMixture, LogisticMixture
from arbench.distributions.normal import Normal
from arbench.distributions.pixel_mixture import PixelMixture

__all__ = [
    "LAWS",
    "LOSSES",
    "Categorical",
    "DiscretizedLogisticMixture",
    "Distribution",
    "GaussianMixture",
    "Logistic",
    "LogisticMixture",
    "Normal",
    "PixelMixture",
    "by_name",
    "law_of",
    "uniforms",
]

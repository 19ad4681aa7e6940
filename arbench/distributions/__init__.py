"""Laws of one element: draws as functions of noise, log-probabilities, margins, inverses."""

from arbench.distributions.base import Distribution, uniforms
from arbench.distributions.categorical import Categorical
from arbench.distributions.logistic import Logistic
from arbench.distributions.logistic_mixture import DiscretizedLogisticMixture

__all__ = ["Categorical", "DiscretizedLogisticMixture", "Distribution", "Logistic", "uniforms"]

"""Distributions as native samplers draw from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arbench.distributions.base import Distribution
from arbench.distributions.categorical import Categorical
from arbench.distributions.location_scale import LocationScale
from arbench.distributions.logistic import Logistic
from arbench.distributions.logistic_mixture import LOG_SCALE_CEILING, LOG_SCALE_FLOOR, DiscretizedLogisticMixture
from arbench.distributions.mixture import GaussianMixture, LogisticMixture, Mixture
from arbench.distributions.normal import Normal

if TYPE_CHECKING:
    from arbench.kernels.samplers.draws import Law

KNOWN = (Categorical, DiscretizedLogisticMixture, GaussianMixture, LogisticMixture, Normal, Logistic)
"""Distributions that native samplers draw from. A subclass may draw differently, so it is not one of them."""


def native_law(distribution: Distribution) -> Law | None:
    """Return a distribution as native samplers draw from it; None if it is none of ``KNOWN``."""
    from arbench.kernels.samplers import draws  # imports Numba, which only callers of a native sampler need

    kind = type(distribution)
    if kind is Categorical:
        assert isinstance(distribution, Categorical)
        return draws.Law(draws.CATEGORICAL, distribution.levels)
    if kind is DiscretizedLogisticMixture:
        assert isinstance(distribution, DiscretizedLogisticMixture)
        levels, components = distribution.levels, distribution.components
        return draws.Law(draws.DISCRETISED, levels, components, LOG_SCALE_FLOOR, LOG_SCALE_CEILING)
    if kind in (GaussianMixture, LogisticMixture):
        assert isinstance(distribution, Mixture)
        floor = distribution.component.log_scale_floor
        return draws.Law(draws.MIXTURE, components=distribution.components, least=floor)
    if kind in (Normal, Logistic):
        assert isinstance(distribution, LocationScale)
        return draws.Law(draws.SHIFTED, least=distribution.log_scale_floor)
    return None

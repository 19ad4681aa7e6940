"""Oracles: laws of an element in float64, written from their definitions, to judge the laws that are measured.

Nothing here imports the distributions, kernels, models or methods that it judges; a contract holds that.
"""

from arbench.bench.models.oracle.base import Oracle
from arbench.bench.models.oracle.categorical import CategoricalOracle
from arbench.bench.models.oracle.discretised import DiscretisedOracle
from arbench.bench.models.oracle.families import GAUSSIAN, LOGISTIC, Family
from arbench.bench.models.oracle.location_scale import LocationScaleOracle
from arbench.bench.models.oracle.mixture import MixtureOracle
from arbench.bench.models.oracle.pixels import PixelOracle
from arbench.bench.models.oracle.rejection import Verdict, judged

__all__ = [
    "GAUSSIAN",
    "LOGISTIC",
    "CategoricalOracle",
    "DiscretisedOracle",
    "Family",
    "LocationScaleOracle",
    "MixtureOracle",
    "Oracle",
    "PixelOracle",
    "Verdict",
    "judged",
]

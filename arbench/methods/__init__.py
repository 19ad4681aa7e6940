"""Algorithms that score or sample any model; one file each, listed here in the order of tables."""

from arbench.methods.base import Method as Method
from arbench.methods.base import Outcome as Outcome
from arbench.methods.base import Task as Task
from arbench.methods.fixed_point import FIXED_POINT, INVERSION_FIXED_POINT
from arbench.methods.naive import NAIVE
from arbench.methods.parallel import OWN_SAMPLES, PARALLEL_SAMPLE, PARALLEL_SCORE
from arbench.methods.stepwise import CACHED, INVERSION, SEQUENTIAL
from arbench.models import Source

METHODS: tuple[Method, ...] = (
    PARALLEL_SCORE,
    SEQUENTIAL,
    INVERSION,
    INVERSION_FIXED_POINT,
    OWN_SAMPLES,
    NAIVE,
    CACHED,
    FIXED_POINT,
    PARALLEL_SAMPLE,
)


def methods_for(source: Source | type[Source]) -> list[Method]:
    """The methods that can run a model."""
    return [m for m in METHODS if m.feeds == source.feeds]

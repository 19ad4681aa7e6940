"""Algorithms that score or sample any model, one file each, in the order of the tables."""

from arbench.methods.base import Method as Method
from arbench.methods.base import Outcome as Outcome
from arbench.methods.base import Task as Task
from arbench.methods.fixed_point import BLOCKS, FIXED_POINT, INVERSION_BLOCKS, INVERSION_FIXED_POINT
from arbench.methods.forecast import FORECAST
from arbench.methods.fused import FUSED
from arbench.methods.naive import NAIVE
from arbench.methods.parallel import OWN_SAMPLES, PARALLEL_SAMPLE, PARALLEL_SCORE
from arbench.methods.speculative import REJECTION, SPECULATIVE
from arbench.methods.stepwise import CACHED, INVERSION, SEQUENTIAL
from arbench.models import Source

METHODS: tuple[Method, ...] = (
    PARALLEL_SCORE,
    SEQUENTIAL,
    INVERSION,
    INVERSION_FIXED_POINT,
    INVERSION_BLOCKS,
    OWN_SAMPLES,
    NAIVE,
    CACHED,
    FUSED,
    FIXED_POINT,
    BLOCKS,
    FORECAST,
    SPECULATIVE,
    REJECTION,
    PARALLEL_SAMPLE,
)


def methods_for(source: Source | type[Source]) -> list[Method]:
    """Return the methods that can run a model, or any model of a class."""
    return [m for m in METHODS if m.feeds == source.feeds and m.lacks(source) is None]


def lacking(source: Source | type[Source]) -> dict[Method, str]:
    """Return what keeps the other methods of a model's kind of feed from running it, or any model of a class."""
    return {m: why for m in METHODS if m.feeds == source.feeds and (why := m.lacks(source)) is not None}

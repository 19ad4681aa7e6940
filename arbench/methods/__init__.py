"""Algorithms that score or sample any model, one file each; ``registry`` has them in the order of the tables."""

from arbench.methods.base import FreshNoise as FreshNoise
from arbench.methods.base import Method as Method
from arbench.methods.base import Outcome as Outcome
from arbench.methods.base import Task as Task
from arbench.methods.outside import MethodError as MethodError
from arbench.methods.outside import methods_of as methods_of
from arbench.methods.outside import sampler as sampler
from arbench.methods.registry import METHODS as METHODS
from arbench.methods.registry import NoMethodError as NoMethodError
from arbench.methods.registry import installed as installed
from arbench.methods.registry import is_plain as is_plain
from arbench.methods.registry import place_of as place_of
from arbench.methods.registry import resolve as resolve
from arbench.methods.speculative import GUESSED_BY_DRAFT as GUESSED_BY_DRAFT
from arbench.methods.stepwise import CACHED as CACHED
from arbench.models import Source

NO_STEPS = "needs a step from the elements before one to that one, and a stack of layers has none"
"""Reason why the methods of a single factorisation do not run a stack."""


def methods_for(source: Source | type[Source]) -> list[Method]:
    """Return the built-in methods that can run a model, or any model of a class, and its own."""
    known = (*METHODS, *source.own_methods())
    return [m for m in known if m.feeds == source.feeds and m.lacks(source) is None]


def lacking(source: Source | type[Source]) -> dict[Method, str]:
    """Return what keeps the other methods of a model's kind of feed from running it, or any model of a class.

    Of a stack of layers it also says why it has none of the methods of a single factorisation.
    """
    known = [*METHODS, *source.own_methods()]
    found = {m: why for m in known if m.feeds == source.feeds and (why := m.lacks(source)) is not None}
    if source.feeds == "layers":
        names = {m.name for m in known if m.feeds == "layers"}
        found |= {m: NO_STEPS for m in METHODS if m.feeds == "x" and m.name not in names}
    return found

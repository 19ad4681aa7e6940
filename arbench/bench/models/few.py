"""Few sizes, batches and data types in which a model shows its faults: what ``arbench verify`` checks.

- A small size that is no power of two, with two events: rows of a batch that mix, code that only a power of two fits,
  and probes that can afford every symbol at every place.
- The first size that a run measures, with one event.
- A larger size that is no power of two either, where there is time: buffers that wrap, and a past that was read in one
  call before single steps follow.
- The small size in a second data type, where there is time: differences that hide within the rounding of float32.
- A size beyond ``LONG`` elements, by the methods that take few passes: caches that forget, positions and masks that are
  wrong from some length on. Where only ``forward`` is known, this is the largest size that a run measures, as far as
  memory allows: nothing else shows what it does there. A model that states its positions is probed, and walked through
  from a past that one call reads, at the largest size that is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from arbench.bench.models.wanted import Wanted
from arbench.methods import methods_for
from arbench.models import Source

SMALL = 13
"""The small size of a model that takes every size; of one that states its sizes, that which is nearest."""
EVENTS = 2
"""Events of the small size."""
SMALLEST = 2
"""Sizes of a suite, the smallest ones, that are checked in place of all."""
LONG = 64
"""Elements beyond which a model shows what it does with many."""
AT_LENGTH = ("parallel", "sequential")
"""Names of the methods that are checked at such a size, in one pass and step by step, without noise: a wide alphabet
takes much of it."""
DRAWN_AT_LENGTH = ("cached", "generate")
"""The same of a model that is not left out there: what draws step by step, by us and by its package."""
FORWARD_ALONE = ("parallel",)
"""The same of a model of which only ``forward`` is known."""
AFFORDABLE = 500_000_000
"""Weights times elements up to which such a size is not left out, however long the others took."""
MOST_NUMBERS = 1 << 23
"""Parameters of all elements up to which it is not."""
FACTOR = 2
"""How many times the first size the larger one exceeds, and the others the largest one."""
LONGEST = 1024
"""Largest size of all, and twice the next."""


class Shape(NamedTuple):
    """A size, batch and data type to check; ``only`` names the methods that are checked there, empty for all."""

    n: int
    batch: int
    dtype: str
    spare: bool = False
    """True if it is left out where the others took long."""
    only: Sequence[str] = ()


@dataclass
class Few:
    """The choice of cases to check.

    Args:
        dtypes: data types; those after the first are spare.

    Attributes:
        spare: ids of the cases that are left out where the others took long.
        native: names of the methods in native code that were left out, since it takes seconds to compile.
    """

    dtypes: Sequence[str]
    spare: list[str] = field(default_factory=list)
    native: list[str] = field(default_factory=list)

    def without_native(self, methods: Sequence[Wanted]) -> list[Wanted]:
        """Return methods without those in native code."""
        self.native += [one.method.name for one in methods if one.method.twin is not None]
        return [one for one in methods if one.method.twin is None]

    def shapes(
        self, source: Source, n: Sequence[int], batch: Sequence[int], takes: Callable[[int], bool]
    ) -> list[Shape]:
        """Return what to check of a model, in this order.

        Args:
            source: the model.
            n: sizes that the user gave; empty for those that show most.
            batch: numbers of events that the user gave; empty for one, and for two at the smallest size.
            takes: whether the model has events of a size, with its data.
        """
        first, *others = self.dtypes
        sizes, larger = (sorted(set(n)), None) if n else _sizes(source, takes)
        small = sizes[0]
        if batch:
            found = [Shape(size, events, first) for size in sizes for events in dict.fromkeys(batch)]
        else:
            found = [Shape(small, EVENTS, first), *(Shape(size, 1, first) for size in sizes[1:] or [small])]
        found += [Shape(small, max(batch, default=EVENTS), dtype, True) for dtype in others]
        if larger is not None:
            found.append(Shape(larger, min(batch, default=1), first, True))
        known = max(shape.n for shape in found)
        if not n and (long := _long(source, takes, known)) is not None:
            numbers = getattr(source.distribution, "params_width", 1) * long
            spare = source.weights(long) * long > AFFORDABLE or numbers > MOST_NUMBERS
            only = AT_LENGTH + (() if spare else DRAWN_AT_LENGTH) if source.steps else FORWARD_ALONE
            found.append(Shape(long, min(batch, default=1), first, spare, only))
            known = long
        if not n and (longest := _longest(source, takes, known)) is not None:
            found.append(Shape(longest, min(batch, default=1), first, False, FORWARD_ALONE))
        return found


def at_length(source: Source, methods: Sequence[Wanted], shapes: Sequence[Shape]) -> Iterator[tuple[Wanted, Shape]]:
    """Yield a method of one pass for each size that none of those asked for is checked at.

    Its verification probes the model there, so that this size shows what the model does whatever the user asked for.

    Args:
        source: the model.
        methods: the methods that were asked for.
        shapes: what to check of it.
    """
    names = {one.method.name for one in methods}
    left = [shape for shape in shapes if shape.only and names and not names.intersection(shape.only)]
    probing = [Wanted(one) for one in methods_for(source) if one.name in FORWARD_ALONE]
    yield from ((one, shape) for one in probing[:1] for shape in left)


def _sizes(source: Source, takes: Callable[[int], bool]) -> tuple[list[int], int | None]:
    """Return the small size and the first one, which may be the same, and the larger one if there is any."""
    first = source.ladder[0]
    stated = sorted({*source.ladder, *source.count_ladder})
    if source.ladder is type(source).ladder is Source.ladder:  # any size is as good as those that are measured
        small = _first((SMALL, *_by_distance(stated, first)), takes) or first
        larger = _first(range(FACTOR * first + 1, 2 * FACTOR * first), takes)
    else:
        small = _first(_by_distance(stated, first), takes) or first
        larger = _first(sorted((size for size in stated if size > first), key=lambda size: (_power(size), size)), takes)
    return sorted({small, first}), larger


def _long(source: Source, takes: Callable[[int], bool], known: int) -> int | None:
    """Return a size of the ladder beyond those that are checked already, up to ``known``; None where none is wanted.

    That is the first one beyond ``LONG``, unless there is one; the largest where only ``forward`` is known. A stack of
    layers has none: of another size it is another stack.
    """
    if source.feeds == "layers" or (source.steps and known > LONG):
        return None
    longer = sorted(size for size in source.ladder if size > max(known, LONG))
    return _first(longer if source.steps else longer[::-1], takes)


def _longest(source: Source, takes: Callable[[int], bool], known: int) -> int | None:
    """Return the largest affordable size of a model whose positions end beyond the sizes that a run measures.

    A run measures fewer where the noise of a draw takes much memory, and a drift may begin beyond. None where there is
    no size of at least twice ``known``.
    """
    most = getattr(source, "longest_context", None)
    if most is None or not source.steps:
        return None
    numbers = MOST_NUMBERS // getattr(source.distribution, "params_width", 1)
    sizes = (
        size for size in (LONGEST >> halved for halved in range(4)) if FACTOR * known <= size <= min(most, numbers)
    )
    return next((size for size in sizes if source.weights(size) * size <= AFFORDABLE and takes(size)), None)


def _by_distance(sizes: Iterable[int], first: int) -> list[int]:
    """Return sizes up to the first one, powers of two last, and otherwise the nearest to ``SMALL`` first."""
    return sorted((size for size in sizes if size <= first), key=lambda size: (_power(size), abs(size - SMALL)))


def _power(size: int) -> bool:
    """Return whether a size is a power of two."""
    return size & (size - 1) == 0


def _first(sizes: Iterable[int], takes: Callable[[int], bool]) -> int | None:
    return next((size for size in sizes if takes(size)), None)

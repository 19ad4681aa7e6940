"""Elements that single steps read, beside those that ``forward`` reads: the difference is what a state has lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

from torch import Tensor

from arbench.bench.models.leaks.leaking import MOST_NUMBERS
from arbench.bench.models.walks import Walk, Walks, changed

NEAREST, FARTHEST = 8, 4
"""Number of earlier elements, the last ones and the first ones, that are changed one at a time."""
LOOK = "look at the state it returns"
COMPLETE = (
    "it reads every element that forward reads, so look at where it takes them to be, as where positions do not count "
    "on with the state, and at what the state keeps of each"
)


def reading(walks: Walks, single: Walk) -> str:
    """Return where to look for the fault of single steps, which are wrong from an element on.

    Earlier elements are changed one at a time: the parameters of the first wrong element then change in ``forward``, in
    single steps, in both or in neither.

    Args:
        walks: the walks of the model.
        single: the one by single steps; a call over several elements may precede them.
    """
    assert single.at is not None
    assert single.params is not None
    first, last = (walks.group(at) for at in (single.at[1], single.params.shape[1] - 1))
    if not walks.bounds[first]:
        return LOOK
    with _few(walks, single) as (walks, single):
        return _lost(walks, single, first) or _lost(walks, single, last) or COMPLETE


@contextmanager
def _few(walks: Walks, single: Walk) -> Iterator[tuple[Walks, Walk]]:
    """Yield the same while the model computes few parameters of each element, where these are wrong from there on too.

    Those of a wide alphabet take most of the time.
    """
    narrowed = getattr(walks.source, "narrowed", None)
    with nullcontext(0) if narrowed is None else narrowed() as width:
        few: tuple[Walks, Walk] | None = None
        if width:
            with suppress(Exception):  # code of the user's may want all parameters
                narrow = Walks(walks.source, walks.f, walks.context, narrow=True)
                few = narrow, narrow.walk(single.cuts)
        if few is not None and few[1].at is not None and single.at is not None and few[1].at[1] == single.at[1]:
            yield few
            return
    yield walks, single


def _lost(walks: Walks, single: Walk, group: int) -> str | None:
    """Return which elements single steps do not read for a group, or read in place of them; None if it is none."""
    here = slice(walks.bounds[group], walks.bounds[group + 1])
    cuts = [cut for cut in single.cuts if cut <= group + 1]
    if cuts[-2:] != [group, group + 1]:
        return None  # no single step computes it
    steps = walks.walk(cuts)
    if steps.params is None:
        return LOOK
    lost, more = list[int](), list[int]()
    places = sorted({*range(max(here.start - NEAREST, 0), here.start), *range(min(FARTHEST, here.start))})[::-1]
    for at, (seen, wanted) in zip(places, moved(walks, steps, [slice(at, at + 1) for at in places], here), strict=True):
        if wanted and not seen:
            lost.append(at)
        if seen and not wanted:
            more.append(at)
    of = f"for element {here.start}"
    if lost and more:
        return f"{of} it reads element {more[0]} in place of element {lost[0]}; {LOOK}, and at the place in it"
    if lost:
        return f"{of} it does not read element {lost[0]}, which forward reads; {LOOK}"
    if more:
        return f"{of} it reads element {more[0]}, which forward does not read; {LOOK}"
    return None


def moved(walks: Walks, walk: Walk, parts: Sequence[slice], here: slice) -> list[tuple[bool, bool]]:
    """Return whether parameters change with other elements, in calls of ``extend`` and in ``forward``.

    Args:
        walks: the walks of the model.
        walk: the calls.
        parts: the elements to change, some at a time.
        here: the elements whose parameters are compared.
    """
    others = [walks.f.clone() for _ in parts]
    for part, other in zip(parts, others, strict=True):
        other[:, part] = changed(walks.source, other[:, part])
    numbers = walks.expected.numel() + walks.f.numel() * walks.f.shape[1]
    count = max(MOST_NUMBERS // numbers, 1)
    found: list[tuple[bool, bool]] = []
    for first in range(0, len(others), count):
        for steps, expected in _beside(walks, walk.cuts, others[first : first + count]):
            if steps is None or walk.params is None:
                found.append((False, False))
                continue
            seen = not walks.near(steps[:, here], walk.params[:, here])
            found.append((seen, not walks.near(expected[:, here], walks.expected[:, here])))
    return found


def _beside(walks: Walks, cuts: Sequence[int], others: Sequence[Tensor]) -> list[tuple[Tensor | None, Tensor]]:
    """Return parameters by calls and by ``forward`` for each of some events, one at a time where a batch of all fails.

    A model may have room for few rows.
    """
    steps: Tensor | None = None
    try:
        steps, expected = walks.beside(cuts, others)
    except Exception:  # a model may raise anything
        if len(others) == 1:
            raise
    if steps is None and len(others) > 1:
        return [one for other in others for one in _beside(walks, cuts, [other])]
    return [(None if steps is None else steps[row], expected[row]) for row in range(len(others))]

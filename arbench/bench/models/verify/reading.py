"""Elements that single steps read, beside those that ``forward`` reads: the difference is what a state has lost."""

from __future__ import annotations

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
    return _lost(walks, single, first) or _lost(walks, single, last) or COMPLETE


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
    for at in sorted({*range(max(here.start - NEAREST, 0), here.start), *range(min(FARTHEST, here.start))})[::-1]:
        seen, wanted = moved(walks, steps, slice(at, at + 1), here)
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


def moved(walks: Walks, walk: Walk, part: slice, here: slice) -> tuple[bool, bool]:
    """Return whether parameters change with other elements, in calls of ``extend`` and in ``forward``.

    Args:
        walks: the walks of the model.
        walk: the calls.
        part: the elements to change.
        here: the elements whose parameters are compared.
    """
    other = walks.f.clone()
    other[:, part] = changed(walks.source, other[:, part])
    params = walks.walk(walk.cuts, other).params
    if params is None or walk.params is None:
        return False, False
    wanted = walks.source(other, walks.code)[:, here]
    return not walks.near(params[:, here], walk.params[:, here]), not walks.near(wanted, walks.expected[:, here])

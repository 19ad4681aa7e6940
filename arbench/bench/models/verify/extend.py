"""Verification of ``extend``: single steps, and calls over several elements, return the parameters of ``forward``.

``forward`` defines the model, once it is known to read no later element. A difference is blamed on ``extend`` where it
raises, or contradicts itself; and where its single steps are right, on its calls over several elements alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from arbench.bench.dtypes import DTYPES
from arbench.bench.inexact import InexactError
from arbench.bench.models.precision import Precision
from arbench.bench.models.verify.reading import moved, reading
from arbench.bench.models.walks import ExtendError, Walk, Walks, extensions
from arbench.models import Source

POSITIONS = 64
"""Number of groups, the first and the last ones, at which single steps are compared with ``forward``."""

Half = Literal["extend", "several"]
"""Part of ``extend`` that is wrong: all of it, or its calls over several elements."""


def first_steps(source: Source, f: Tensor, code: Any, dtype: str) -> None:
    """Make two steps as they are measured, which must not fail, nor return fewer digits than the dtype has.

    Raises:
        InexactError: they do. Its fact ``half`` is 'extend'.
    """
    groups = len(source.schedule(f.shape[1])) - 1
    try:
        with Precision(DTYPES[dtype]) as precision:
            for _ in extensions(source, f, code, range(min(groups, 2) + 1)):
                pass
        precision.check()
    except InexactError as error:
        error.facts["half"] = "extend"
        if isinstance(error, ExtendError) and _reuses(source, f, code):
            raise InexactError(_REUSED, half="extend") from None
        raise


def forward_equals_extend(twin: Source, f: Tensor, context: Mapping[str, Tensor]) -> float:
    """Compare ``forward`` with single steps, and with calls over several elements.

    Args:
        twin: the model in float64.
        f: the event that the network reads (B, N).
        context: its conditioning.

    Returns:
        The largest difference.

    Raises:
        InexactError: they differ, or a call fails. Its fact ``half`` is 'extend' where ``forward`` is right and
            ``extend`` is not, and 'several' where only calls over several elements are wrong.
    """
    walks = Walks(twin, f, context)
    first = max(walks.groups - POSITIONS, 0)
    mixed = sorted({*range(first, walks.groups + 1), 0, min(first, 1)})
    found = [walks.walk(mixed)]
    if found[0].right:  # a state may forget or drift at a length that one call has passed
        found += [walks.walk(range(POSITIONS + 1))] if first else [walks.walk(cuts) for cuts in _several(walks)]
    if not all(walk.right for walk in found):
        raise _fault(walks, found[0])
    return max(walk.worst for walk in found)


def _several(walks: Walks) -> list[list[int]]:
    """Return the cuts of walks by calls over several groups: from a past that is not empty, and all at once."""
    groups = walks.groups
    middle = groups - POSITIONS if groups > POSITIONS else (groups + 1) // 2
    chunks = sorted({0, 1, middle, groups})
    return [cuts for cuts in (chunks, [0, groups]) if len(cuts) <= groups]


def _fault(walks: Walks, mixed: Walk) -> InexactError:
    """Return the fault that walks show: of single steps, of calls over several groups, or of neither for certain."""
    if _reuses(walks.source, walks.f, walks.code):
        return InexactError(_REUSED, half="extend")
    single = walks.walk(range(min(walks.groups, POSITIONS) + 1))
    several = [walks.walk(cuts) for cuts in _several(walks)]
    if single.error is not None:
        return _failed(single.error, "extend")
    if not single.right:
        return _differ(walks, single, *_of_steps(walks, single, several[-1] if several else None))
    wrong = next((walk for walk in several if not walk.right), None)
    if wrong is not None and wrong.error is not None:
        return _failed(wrong.error, "several", "single steps are right, but ")
    if wrong is not None:
        return _differ(walks, wrong, "several", _over_several(walks, wrong))
    if mixed.error is not None:
        return _failed(mixed.error, "extend")
    if not walks.independent:
        return _differ(walks, mixed, None, _UNTOLD)
    why = (
        f"extend is right over all elements at once and in its first {POSITIONS} single steps, and wrong in later ones"
    )
    return _differ(walks, mixed, "extend", f"{why}: {reading(walks, mixed)}")


def _reuses(source: Source, f: Tensor, code: Any) -> bool:
    """Return whether the steps of one event change the state that the next ``start`` returns."""

    def begun() -> list[Any]:
        state = source.start(len(f), f.shape[1], code)
        return [one.clone() if isinstance(one, Tensor) else one for one in _leaves(state)]

    with suppress(Exception):  # a model may raise anything, which is charged to it elsewhere
        before, groups = begun(), len(source.schedule(f.shape[1])) - 1
        with suppress(InexactError):
            for _ in extensions(source, f, code, range(min(groups, 2) + 1)):
                pass
        after = begun()
        return len(before) != len(after) or any(map(_reused, before, after))
    return False


def _reused(a: Any, b: Any) -> bool:
    """Return whether part ``b`` of a new state shows that it was part ``a`` of an older one."""
    plain = (Tensor, int, float, str)
    return not _same(a, b) if isinstance(a, plain) or isinstance(b, plain) else a is b and not callable(a)


_REUSED = "start returns a state that earlier calls have changed; make a new one in each call"
_UNTOLD = "forward calls extend, so which of the two is wrong cannot be told, and no method is verified"


def _failed(error: InexactError, half: Half, but: str = "") -> InexactError:
    return type(error)(f"{but}{error}", half=half)


def _differ(walks: Walks, walk: Walk, half: Half | None, why: str) -> InexactError:
    assert walk.at is not None
    return InexactError(
        f"forward and extend differ by {walk.worst:.3g} in float64 from element {walk.at[1]} on, "
        f"allowed {walks.allowed:.3g}: {why}",
        first_difference=walk.at,
        half=half,
    )


def _of_steps(walks: Walks, single: Walk, at_once: Walk | None) -> tuple[Half | None, str]:
    """Return which half is to blame for single steps that are wrong, and the reason."""
    assert single.params is not None
    if not bool(single.params.isfinite().all()):
        return "extend", "extend is wrong, since it returns parameters that are not finite"
    true, again = (walks.walk(single.cuts, changing=False).params for _ in range(2))
    if true is None or again is None or not walks.near(true, again):
        why = "it must draw nothing itself, and start must make a new state"
        return "extend", f"extend is wrong, since it returns others when it is called again: {why}"
    if not walks.near(true, single.params):
        why = "its parameters change with elements that come after them: it may read those before g1 - 1 only"
        return "extend", f"extend is wrong, since {why}"
    if not walks.independent:
        return None, f"step by step {_state(walks, single)}; {_UNTOLD}"
    if at_once is not None:
        if at_once.right:
            where = _state(walks, single)
            return "extend", f"extend is right over all elements at once, but wrong step by step: {where}"
        if at_once.params is None:
            return "extend", f"extend is wrong step by step, and {at_once.error}"
        if not walks.near(at_once.params[:, : single.params.shape[1]], single.params):
            return "extend", "extend is wrong, since single steps and all elements at once differ from each other too"
    return None, (
        "extend returns the same step by step and over all elements at once, so which of the two is wrong cannot be "
        "told, and no method is verified"
    )


def _state(walks: Walks, single: Walk) -> str:
    """Return where to look for the fault of a state, with which single steps are wrong."""
    fresh = walks.source.start(len(walks.f), walks.f.shape[1], walks.code)
    before = [one.clone() if isinstance(one, Tensor) else one for one in _leaves(fresh)]
    _, state = next(extensions(walks.source, walks.f, walks.code, range(2)))
    after, look = _leaves(state), "look at the state it returns"
    if before and not after:
        return f"{look}, which is None"
    if before and len(before) == len(after) and all(map(_same, before, after)):
        return f"{look}, which is still that of start"
    return reading(walks, single)


def _leaves(state: Any) -> list[Any]:
    return [one for one in tree_leaves(state) if one is not None]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    return type(a) is type(b) and isinstance(a, int | float | str) and a == b


def _over_several(walks: Walks, walk: Walk) -> str:
    assert walk.at is not None
    alone = walks.groups == walks.f.shape[1]
    begin, end = walks.elements(walk, walk.at[1])
    elements = "elements" if alone else "positions"
    call = f"in one call for elements {begin} to {end - 1}, from element {walk.at[1]} on"
    hint = _hint(walks, walk, walk.at[1])
    return f"extend is wrong over several {elements} at once ({call}), and right in single steps: {hint}"


def _hint(walks: Walks, walk: Walk, at: int) -> str:
    """Return where to look for the fault of a call over several groups, which is wrong from element ``at`` on."""
    group = walks.group(at)
    here = slice(walks.bounds[group], walks.bounds[group + 1])
    call = next(i for i, cut in enumerate(walk.cuts[1:]) if group < cut)
    first = group == walk.cuts[call]
    if first and call and walk.cuts[call] - walk.cuts[call - 1] > 1:
        return "look at the state that such a call returns"

    later, previous = slice(here.start, None), slice(walks.bounds[max(group - 1, 0)], here.start)
    read, found = moved(walks, walk, [later, previous], here)
    if read[0]:
        return "it reads later elements of the same call; look at its mask"
    if not first and found == (False, True):
        before = here.start - 1
        return f"it does not read element {before}; in its loop, read the element before g, not the one before g0"
    return "look at its positions and masks where g1 - g0 is more than 1"

"""Verification of ``mark`` and ``rewind``: a state that went beyond a group and came back is as if it had not."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, first_difference
from arbench.bench.models.walks import changed
from arbench.models import Source, StateError
from arbench.own.raised import one_line

FEWEST = 4
"""Smallest number of groups that can be marked, guessed and taken back."""


def rewinds(twin: Source, f: Tensor, code: object) -> float | None:
    """Take guesses back, to the marked group and to a later one, and compare what follows with ``forward``.

    Args:
        twin: the model in float64, whose calls over several elements are right.
        f: the event that the network reads (B, N).
        code: its encoded conditioning.

    Returns:
        The largest difference; None where there are too few groups, or the state cannot be copied.

    Raises:
        InexactError: they differ, or a call fails. Its fact ``half`` is 'rewind'.
    """
    bounds = twin.schedule(f.shape[1])
    groups = len(bounds) - 1
    if groups < FEWEST:
        return None
    a, b = groups // 3, min(groups // 3 + max(groups // 3, 2), groups)
    expected, worst = twin(f, code), 0.0
    allowed = EXACT * (1 + float(expected.abs().max()))
    for g in sorted({a, (a + b) // 2, b - 1}):
        guess = f.clone()
        guess[:, max(bounds[g] - 1, 0) :] = changed(twin, f[:, max(bounds[g] - 1, 0) :])
        try:
            state = twin.start(len(f), f.shape[1], code)
            state = twin.extend(state, f, 0, a)[1] if a else state
            mark = twin.mark(state, a)
            _, state = twin.extend(state, guess, a, b)
            state = twin.rewind(state, mark, f, g)
            first, state = twin.extend(state, f, g, g + 1)
            rest = [twin.extend(state, f, g + 1, groups)[0]] if g + 1 < groups else []
        except StateError:
            return None  # methods that take guesses back say so themselves
        except Exception as error:  # a model may raise anything
            raise InexactError(
                f"rewind fails, after a mark at group {a}, extend to {b} and rewind to {g}: {one_line(error)}",
                half="rewind",
            ) from error
        difference = (torch.cat([first, *rest], dim=1) - expected[:, bounds[g] :]).abs().amax(-1)
        wrong = ~(difference <= allowed)
        if wrong.any():
            row, at = first_difference(wrong)
            raise InexactError(
                f"rewind is wrong: after a mark at group {a}, extend to {b} and rewind to {g}, parameters differ from "
                f"forward's by {float(difference.max()):.3g} in float64 from element {bounds[g] + at} on, allowed "
                f"{allowed:.3g}: look at how far it cuts the state back",
                first_difference=[row, bounds[g] + at],
                half="rewind",
            )
        worst = max(worst, float(difference.max()))
    return worst

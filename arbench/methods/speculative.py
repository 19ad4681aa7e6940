"""Speculative sampling: a smaller model guesses a few steps, the target checks them in one pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arbench.distributions import Categorical
from arbench.methods.ahead import Window
from arbench.methods.base import Method, Outcome, Task
from arbench.models import Source

AHEAD = 4
"""Groups that the draft guesses at once."""


class Draft:
    """The smaller model, a state of its own behind the target's."""

    def __init__(self, window: Window) -> None:
        assert window.source.draft is not None, "a model without a draft cannot be guessed for"
        self.source, self.window = window.source.draft, window
        task = window.task
        code = self.source.encode(task.context, task.n)
        self.state: Any = self.source.start(task.batch, task.n, code)
        if window.at:
            _, self.state = self.source.extend(self.state, window.f, 0, window.at)

    def guess(self) -> Tensor:
        """Fills the target's window, step by step, with the draft's draws under the same noise.

        Returns:
            the draft's parameters (B, elements of the window, P).
        """
        window, noise = self.window, self.window.task.noise
        assert noise is not None
        self.mark = self.source.mark(self.state, window.at)
        kept = []
        for g in range(window.at, window.end):
            params, self.state = self.source.extend(self.state, window.f, g, g + 1)
            span = window.span(g, g + 1)
            window.f[:, span] = self.source.distribution.draw(params, noise[:, span])
            kept.append(params)
        return torch.cat(kept, dim=1)

    def follow(self, end: int) -> None:
        """Goes back to where the target stands after a window that ended at group ``end``."""
        if self.window.at < end:
            self.state = self.source.rewind(self.state, self.mark, self.window.f, self.window.at)


def speculative(source: Source, task: Task) -> Outcome:
    """The draft draws ``AHEAD`` groups under the target's own noise; the target evaluates all of them at
    once and keeps the guesses that are its own draws, and the first that is not replaced by its own.

    Pointwise exact whatever the draft, since target and draft share the noise of each element: a better
    draft is only agreed with more often.

    Sources: Stern et al., *Blockwise Parallel Decoding*, 2018, section 3, for the scheme; Daliri et al.,
    *Coupling without Communication and Drafter-Invariant Speculative Decoding*, 2024, for the shared noise.
    """
    window = Window(source, task, AHEAD)
    draft = Draft(window)
    while not window.done:
        end = window.end
        draft.guess()
        guess = window.f[:, window.span(window.at, end)].clone()
        params, found, mark = window.evaluate()
        window.advance(params, found, window.settle(found == guess, end), mark)
        draft.follow(end)
    return window.outcome()


def rejection(source: Source, task: Task) -> Outcome:
    """As ``speculative``, but a guess x of the draft q is kept with probability min(1, p(x) / q(x)), and the
    first that is not is drawn again from what p has above q: the target's law, by other draws.

    Source: Leviathan et al., *Fast Inference from Transformers via Speculative Decoding*, 2023, section
    2.3 and appendix A.1.
    """
    window = Window(source, task, AHEAD)
    draft = Draft(window)
    law = source.distribution
    assert task.chance is not None, "rejection needs chance beyond the noise"
    while not window.done:
        end = window.end
        guessed = draft.guess()
        span = window.span(window.at, end)
        guess = window.f[:, span].clone()
        params, _, mark = window.evaluate()
        chance = task.chance[:, span]
        ratio = (law.log_prob(params, guess) - law.log_prob(guessed, guess)).double()
        kept = chance[..., 0].log() < ratio
        p, q = (logits.double().softmax(-1) for logits in (params, guessed))
        rest = (p - q).clamp_min(0)
        rest = torch.where(rest.sum(-1, keepdim=True) > 0, rest, p)  # p = q but for rounding
        other = law.draw(rest.log(), law.standard(chance[..., 1:]))
        window.advance(params, torch.where(kept, guess, other), window.settle(kept, end), mark)
        draft.follow(end)
    return window.outcome()


def _has_draft(source: Source | type[Source]) -> bool:
    if isinstance(source, Source):
        return source.draft is not None and source.distribution.finite
    return source.drafting.__func__ is not Source.drafting.__func__  # type: ignore[attr-defined]


def _has_rest(source: Source | type[Source]) -> bool:
    return _has_draft(source) and (not isinstance(source, Source) or isinstance(source.distribution, Categorical))


SPECULATIVE = Method(
    "speculative",
    "sample",
    "x",
    speculative,
    "a smaller draft guesses 4 steps under the same noise",
    data_dependent=True,
    returning=True,
    fits=_has_draft,
)
REJECTION = Method(
    "rejection",
    "sample",
    "x",
    rejection,
    "a smaller draft guesses 4 steps, kept by rejection sampling",
    exactness="distribution",
    data_dependent=True,
    returning=True,
    chance=True,
    fits=_has_rest,
)

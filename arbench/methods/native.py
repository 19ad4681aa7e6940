"""Native draws: a compiled loop of a model draws many elements in one call, and goes on from there."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from arbench.methods.base import Outcome, Task, Unknown
from arbench.models import Source


class NativeDraw(Protocol):
    """A draw in progress, which a model's ``native`` returns; it goes on where the call before stopped."""

    def draw(self, noise: Tensor, given: Tensor | None = None, record: bool = False) -> tuple[Tensor, Tensor | None]:
        """Draw the next M elements.

        Args:
            noise: noise (B, M, K) of these elements.
            given: first of these elements (B, M' <= M), which are kept.
            record: whether to return the parameters.

        Returns:
            Elements (B, M), and their parameters (B, M, P) or None.
        """


class NativeSteps:
    """A draw by a model's native loop: like ``Steps``, with one call for all groups up to the next stop.

    Args:
        source: the model.
        task: sampling.
        native: the model's draw, not begun.
        piece: most given elements to pass at once.

    Attributes:
        unknown: the event, known before group ``at``.
        at: first group that is not drawn.
    """

    def __init__(self, source: Source, task: Task, native: NativeDraw, piece: int = 4096) -> None:
        self.unknown = Unknown(source, task)
        self.at = self.unknown.first
        self._task, self._native = task, native
        self._kept: list[Tensor] = []
        first = self.unknown.bounds[self.at]
        width = source.distribution.noise_width
        known = task.fresh or task.noise
        assert known is not None
        for lo in range(0, first, piece):
            given = self.unknown.f[:, lo : min(lo + piece, first)]
            unread = torch.zeros(*given.shape, width, dtype=known.dtype, device=known.device)
            self._keep(native.draw(unread, given, task.record)[1])

    def advance(self, end: int) -> None:
        """Draw the groups before group ``end`` in one call."""
        lo, hi = self.unknown.bounds[self.at], self.unknown.bounds[end]
        if lo == hi:
            return
        self.unknown.prepare(lo, hi)
        x, params = self._native.draw(self.unknown.noise_of(lo, hi), record=self._task.record)
        self.unknown.f[:, lo:hi] = x
        self._keep(params)
        self.at = end

    def _keep(self, params: Tensor | None) -> None:
        if self._task.record:
            assert params is not None, "a native draw did not record its parameters"
            self._kept.append(params)

    def outcome(self) -> Outcome:
        """Return the result, once all groups are drawn."""
        return self.unknown.outcome(torch.cat(self._kept, dim=1) if self._kept else None)


def begun(source: Source, task: Task) -> NativeSteps | str | None:
    """Return a draw by a model's native loop, before its first element; or why there is none.

    Args:
        source: the model.
        task: sampling.

    Returns:
        The draw; or the reason, in words, why the loop that the model has cannot run; or None if it has no loop.
    """
    native = getattr(source, "native", None)
    if native is None:
        return None
    code = source.encode(task.context, task.n)
    dtype = next((one.dtype for one in source.parameters() if one.is_floating_point()), torch.float32)
    found = native(code, task.batch, task.n, weights=dtype, threads=torch.get_num_threads())
    return found if found is None or isinstance(found, str) else NativeSteps(source, task, found)

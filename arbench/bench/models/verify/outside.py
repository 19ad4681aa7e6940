"""Verification of methods from outside: what they may not touch, and more draws where they return nothing else.

A method of arbench's own records the parameters from which it drew, and their log-probabilities are compared too. A
sampler that returns only events is judged by its draws alone, so it draws under more noise than that of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.meters.reach import digest
from arbench.methods import Task
from arbench.models import Source

MORE = 4096
"""Number of elements that are drawn beside those of the run, where calls are quick."""
MOST = 32
"""Largest number of calls for them."""
SECONDS = 1.0
"""Seconds after which there is no further call."""
DRAWS_ALONE = "; the draws alone, since the method returns no parameters"
"""End of ``how`` for a method whose log-probabilities cannot be compared."""


class Untouched:
    """The input of a call and the weights of its model, which the call must leave as they are.

    Args:
        source: the model.
        task: the input.
    """

    def __init__(self, source: Source, task: Task) -> None:
        self._source, self._task = source, task
        self._before = dict(self._marks())

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name in ("noise", "x", "chance", "given"):
            if (value := getattr(self._task, name)) is not None:
                yield f"its {name}", value
        for name, value in self._task.context.items():
            yield f"the conditioning '{name}'", value
        for source, whose in ((self._source, "model"), (self._source.draft, "draft")):
            for name, value in source.state_dict(keep_vars=True).items() if source is not None else ():
                yield f"the {whose}'s '{name}'", value

    def _marks(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for name, value in self._tensors():
            yield name, (value.data_ptr(), tuple(value.shape), value._version, digest(value.untyped_storage()))

    def check(self) -> None:
        """Raise InexactError if anything was changed, replaced, removed or added; names the first."""
        after = dict(self._marks())
        changed = [name for name in {**self._before, **after} if self._before.get(name) != after.get(name)]
        if changed:
            raise InexactError(f"changed {changed[0]}, which other calls read too; change a copy of it")


def draw_more(source: Source, task: Task, seed: int, verify: Callable[[Task], None]) -> int:
    """Verify a sampler under other noise; return how many elements it drew.

    Args:
        source: the model.
        task: the input of the run.
        seed: seed of the run.
        verify: makes a call and checks its outcome.

    Raises:
        InexactError: an outcome is wrong.
    """
    assert task.noise is not None
    drawn, began = 0, time.perf_counter()
    rows, elements = range(task.batch), range(task.n)
    for number in range(1, MOST + 1):
        if drawn >= MORE or time.perf_counter() - began > SECONDS:
            break
        other = (seed + number) % 2**63
        noise = source.distribution.noise(other, rows, elements, task.noise.dtype, task.noise.device)
        try:
            verify(replace(task, noise=noise))
        except InexactError as error:
            raise InexactError(f"{error} (noise of seed {other})", **error.facts) from None
        drawn += task.batch * task.n
    return drawn

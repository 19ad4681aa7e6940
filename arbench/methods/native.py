"""Native draws: a compiled loop of a model draws many elements in one call, and goes on from there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from arbench.border.suggest import did_you_mean
from arbench.methods.base import Outcome, Task, Unknown
from arbench.methods.finite import AT_ONCE, check_finite
from arbench.models import Source
from arbench.models.base import NativeDraw

WEIGHTS = {"float32": None, "bfloat16": torch.bfloat16}
"""Dtypes to which weights are rounded, by name; None for that of the model."""
MOST_THREADS = 2
SETTINGS = ("weights", "threads")
STEPS = ("schedule", "start", "extend", "forward")
"""Functions of a model that a native loop stands for."""
AROUND = frozenset(dir(Source))
"""Names of every model; those beside ``STEPS`` do not change what a native loop draws."""


class NativeSteps:
    """A draw by a model's native loop: like ``Steps``, with one call for all groups up to the next stop.

    Args:
        source: the model.
        task: sampling.
        native: the model's draw, not begun.
        piece: most given elements to pass at once.
        check: whether to raise FloatingPointError where parameters or draws are not finite, once for each ``advance``.

    Attributes:
        unknown: the event, known before group ``at``.
        at: first group that is not drawn.
    """

    def __init__(self, source: Source, task: Task, native: NativeDraw, piece: int = 4096, check: bool = False) -> None:
        self.unknown = Unknown(source, task)
        self.at = self.unknown.first
        self._task, self._native, self._check = task, native, check
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
        """Draw the groups before group ``end``: in one call, or where they are checked in several."""
        lo, hi = self.unknown.bounds[self.at], self.unknown.bounds[end]
        if lo == hi:
            return
        self.unknown.prepare(lo, hi)
        for first in range(lo, hi, AT_ONCE) if self._check else (lo,):
            self._draw(first, min(first + AT_ONCE, hi) if self._check else hi)
        self.at = end

    def _draw(self, lo: int, hi: int) -> None:
        x, params = self._native.draw(self.unknown.noise_of(lo, hi), record=self._task.record or self._check)
        if self._check:
            check_finite(self.unknown.source.distribution, x, params, lo)
        self.unknown.f[:, lo:hi] = x
        self._keep(params)

    def _keep(self, params: Tensor | None) -> None:
        if self._task.record:
            assert params is not None, "a native draw did not record its parameters"
            self._kept.append(params)

    def outcome(self) -> Outcome:
        """Return the result, once all groups are drawn."""
        found = self.unknown.outcome(torch.cat(self._kept, dim=1) if self._kept else None)
        return replace(found, step_bytes=self._native.step_bytes, exchanges=self._native.exchanges)


@dataclass(frozen=True)
class Native:
    """The native loop of a model, with settings.

    Args:
        rounds: dtype in which the loop reads the weights, to which the model's were rounded before; None for the dtype
            of the model.
        threads: number of threads, 1 or 2; None for as many of these as PyTorch may use.
    """

    rounds: torch.dtype | None = None
    threads: int | None = None

    def begin(self, source: Source, task: Task, check: bool = False) -> NativeSteps:
        """Return a draw before its first element that is not given; ``check`` is that of ``NativeSteps``."""
        source.schedule(task.n)  # refuses a size that the model does not have, before anything is computed
        most = min(torch.get_num_threads(), len(os.sched_getaffinity(0)))  # a thread that waits needs a processor
        threads = self.threads or min(most, MOST_THREADS)
        code = source.encode(task.context, task.n)
        draw = source.native(code, task.batch, weights=self.rounds, threads=threads)
        return NativeSteps(source, task, draw, check=check)


def native(settings: Mapping[str, Any], more: tuple[str, ...] = ()) -> Native:
    """Return the loop with the settings ``weights=float32|bfloat16`` and ``threads=1|2``.

    Args:
        settings: values by name.
        more: names of other settings that are allowed and not read.

    Raises:
        ValueError: there is no such setting or value, or this process has one processor for two threads.
    """
    for key in settings:
        if key not in (*SETTINGS, *more):
            raise ValueError(f"no setting '{key}'; {did_you_mean(key, (*more, *SETTINGS))}")
    weights, threads = settings.get("weights", "float32"), settings.get("threads")
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be {' or '.join(WEIGHTS)}, got {weights!s:.40}")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= MOST_THREADS):
        raise ValueError(f"threads must be 1 or 2, got {threads!s:.40}")
    processors = len(os.sched_getaffinity(0))
    if threads is not None and threads > processors:
        raise ValueError(f"2 threads need two processors, and this process has {processors}; leave threads out")
    return Native(WEIGHTS[weights], threads)


def remark() -> str:
    """Return caveats of this machine: vectors that are narrower than native loops are made for, no cache for code."""
    from arbench.kernels.core.numba_rows import uncached  # imports Numba
    from arbench.kernels.samplers.vectors import LINE, registers

    sentences = []
    name, size = registers()
    if size != LINE:
        has = f"they have {size} bytes ({name})" if name else "their size is unknown"
        sentences.append(f"The native loop is made for the vectors of AVX-512, {LINE} bytes; here {has}.")
    if without := uncached():
        sentences.append(f"{without[:1].upper()}{without[1:]}.")
    return " ".join(sentences)


def uncompiled() -> str | None:
    """Return why this process cannot run native loops: Numba is told to compile nothing; None if it can."""
    text = os.environ.get("NUMBA_DISABLE_JIT", "").strip()
    if text.removeprefix("-").isdecimal() and int(text):  # as Numba reads it, without importing Numba
        return f"needs Numba's compiler, which NUMBA_DISABLE_JIT={text} turns off; unset it"
    return None


def loopless(source: Source | type[Source]) -> bool:
    """Return whether a model, or a class of models, has no native loop."""
    return (source if isinstance(source, type) else type(source)).native is Source.native


def redefined(kind: type[Source]) -> str | None:
    """Return what a subclass changes of a model's steps, ``Class.name``, without a native loop of it; None for nothing.

    Steps are the functions of ``STEPS``, and all of the class that defines ``native`` that not every model has.
    """
    classes = kind.__mro__
    owner = next(i for i, one in enumerate(classes) if "native" in vars(one))
    steps = ({*STEPS, *vars(classes[owner])} - AROUND) | set(STEPS)
    for one in classes[:owner]:
        for name in vars(one):
            if name in steps and not name.startswith("__"):
                return f"{one.__name__}.{name}"
    return None


def lacks(source: Source | type[Source]) -> str | None:
    """Return what keeps a native loop from running a model, or any model of a class; None if it can run."""
    if loopless(source):
        return "needs a native loop, which the model does not have: it does not define native"
    own = redefined(source if isinstance(source, type) else type(source))
    if own is not None:
        return f"does not know {own}; define native beside it"
    if (off := uncompiled()) is not None:
        return off
    if isinstance(source, Source):
        first = next(source.parameters(), None)
        if first is not None and first.dtype not in (torch.float32, torch.float64):
            kind = str(first.dtype).removeprefix("torch.")
            rounds = "weights=bfloat16 rounds the weights of one in float32"
            return f"needs a model in float32 or float64, not {kind}; {rounds}"
        if first is not None and first.device.type != "cpu":
            return f"needs the CPU; the model is on {first.device}"
        return source.lacks_native()
    return None

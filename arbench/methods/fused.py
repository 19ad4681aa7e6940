"""One native call for the whole draw, for models that offer a loop in native code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from arbench.methods.base import Method, Outcome, Task, Unknown
from arbench.methods.stepwise import CACHED
from arbench.models import Source

WEIGHTS = {"float32": None, "bfloat16": torch.bfloat16}
"""Values of the setting ``weights``: the dtype to which weights are rounded; None for that of the model."""
MOST_THREADS = 2


def fused(source: Source, task: Task, rounded: torch.dtype | None = None, threads: int | None = None) -> Outcome:
    """Draw all elements in the model's native loop.

    Args:
        source: the model.
        task: the noise, context and given elements.
        rounded: dtype in which the loop reads the weights, to which those of the model were rounded before; None for
            the dtype of the model.
        threads: number of threads, 1 or 2; by default as many of these as PyTorch may use.
    """
    unknown = Unknown(source, task)  # refuses given elements that do not fit
    assert task.noise is not None
    many = threads or min(torch.get_num_threads(), MOST_THREADS)
    draw = source.native(source.encode(task.context, task.n), task.batch, weights=rounded, threads=many)
    given = unknown.f[:, : task.given.shape[1]] if task.given is not None else None
    x, params = draw.draw(task.noise, given, task.record)
    return Outcome(x, x, params)


def configured(settings: Mapping[str, Any]) -> Method:
    """Return the method with settings: ``weights=float32|bfloat16`` and ``threads=1|2``.

    Raises:
        ValueError: there is no such setting or value, or this machine has one processor for two threads.
    """
    weights, threads = settings.get("weights", "float32"), settings.get("threads")
    if unknown := settings.keys() - {"weights", "threads"}:
        raise ValueError(f"fused has no setting '{min(unknown)}'; it has weights and threads")
    if weights not in WEIGHTS:
        raise ValueError(f"weights={weights}: fused reads weights as float32 or bfloat16")
    if threads is not None and threads not in range(1, MOST_THREADS + 1):
        raise ValueError(f"threads={threads}: fused runs on 1 or 2 threads")
    processors = len(os.sched_getaffinity(0))
    if threads is not None and threads > processors:
        raise ValueError(f"threads={threads}: this process may use {processors} processor; leave the setting out")
    rounded = WEIGHTS[weights]
    parts = [f"threads={threads}"] if threads is not None else []
    parts += [f"weights={weights}"] if rounded is not None else []
    return replace(
        FUSED,
        name=",".join(["fused", *parts]),
        run=partial(fused, rounded=rounded, threads=threads),
        rounds=rounded,
    )


def _lacks(source: Source | type[Source]) -> str | None:
    cls = source if isinstance(source, type) else type(source)
    if cls.native is Source.native:
        return "needs a native loop, which the model does not have: it does not define native"
    if isinstance(source, Source):
        kind = next((p.dtype for p in source.parameters()), torch.float32)
        if kind not in (torch.float32, torch.float64):
            short = str(kind).removeprefix("torch.")
            return f"needs a model in float32 or float64, not {short}; weights=bfloat16 reads rounded weights"
    return None


FUSED = Method(
    "fused",
    "sample",
    "x",
    fused,
    "all elements in native code (Numba)",
    lacks=_lacks,
    configure=configured,
    devices=("cpu",),
    twin=CACHED,
)

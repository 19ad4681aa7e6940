"""All elements in native code, for models that offer a native loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from arbench.methods.base import Method, Outcome, Task
from arbench.methods.native import Native, lacks, native, remark, uncompiled
from arbench.methods.stepwise import CACHED
from arbench.models import Source


def fused(source: Source, task: Task, loop: Native = Native()) -> Outcome:  # noqa: B008 - it never changes
    """Draw all elements in one call of the model's native loop."""
    steps = loop.begin(source, task)
    steps.advance(steps.unknown.groups)
    return steps.outcome()


def _configured(settings: Mapping[str, Any]) -> Method:
    """Return the method with ``weights`` and ``threads``. Raises ValueError for other settings or values."""
    loop = native(settings)
    return replace(FUSED, run=partial(fused, loop=loop), rounds=loop.rounds, threads=loop.threads)


FUSED = Method(
    "fused",
    "sample",
    "x",
    fused,
    "all elements in native code: weights=float32 or bfloat16, threads=1 or 2",
    lacks=lacks,
    unable=uncompiled,
    configure=_configured,
    devices=("cpu",),
    like="cached",
    twin=CACHED,
    remark=remark,
)

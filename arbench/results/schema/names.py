"""The names that fields of several kinds of lines may have."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

COUNTERS = ("depth", "nfe", "flops", "ops", "bytes")
"""Exact counters of a case, by their fields in ``Count`` and ``Case``; peak memory is measured, not exact."""

CRASHED = "crashed"
"""Entry of ``Verification.verified`` where a worker crashed in the case and the next one did not: how it crashed."""

Op = Literal["score", "sample", "forward", "backward"]
"""Operation of a model (score, sample) or of a kernel (forward, backward)."""
Status = Literal["ok", "checked", "inexact", "oom", "timeout", "error", "over_budget"]
"""``checked``: the answer is right, but was computed where its time means nothing (Triton's interpreter)."""
Exactness = Literal["pointwise", "distribution", "approximate"]
CountSource = Literal["counted", "extrapolated", "formula", "none"]
StoppedBy = Literal["target", "plateau", "budget", "rounds", "interrupted"]
Verdict = Literal["holds", "fails", "undecided"]
OWN_SAMPLES = "own_samples"
"""Name of the method that scores only what the model has just drawn, so never outside data."""

_CLASS = r"(1|log N|sqrt N|N|N log N|N\^2|N\^3)"
Fitted = Annotated[str, msgspec.Meta(pattern=rf"^{_CLASS}\Z")]
"""A class of growth, one of ``arbench.stats.CLASSES``."""
Claimed = Annotated[str, msgspec.Meta(pattern=rf"^(<=)? *{_CLASS} *\Z")]
"""A class of growth, or with a leading '<= ' at most that."""

TraceFile = Annotated[str, msgspec.Meta(pattern=r"^profiles/[a-z0-9-]+\.json\.gz\Z")]
"""The path of a trace, relative to the folder of its run."""


def with_preset(model: str, preset: str) -> str:
    """Return a model or kernel with its preset, as in ``wavenet:nv``; the name alone if there are no presets."""
    return f"{model}:{preset}" if preset else model

"""What passes between the supervisor and a worker: one job to it, one message a line back."""

from __future__ import annotations

import msgspec

from arbench.bench.case import CaseKey
from arbench.results import Count, Samples, Verification


class Job(msgspec.Struct):
    """What a worker is to do."""

    stage: str
    """'prove' (verify and count) or 'time'."""
    cases: list[CaseKey]
    seed: int
    threads: int
    weights: str | None = None
    data: str | None = None
    count_budget_s: float = 1.0
    direct: bool = False
    """Whether each size is counted itself, and extrapolated only where that takes too long."""
    worker: int = 0
    rounds: int | None = None
    """Rounds to end with; None: as many as fit ``share_s``, one at least."""
    share_s: float = 0.0
    """Of timing: seconds it may take. Of proving: the longest call that could still be timed."""
    call_s: dict[str, float] = {}
    """How long a call of each case takes, as proving saw it."""
    verified: list[str] = []
    counted: list[str] = []
    done: list[tuple[str, int]] = []
    """(case, round) that an earlier process of this worker finished."""


class Message(msgspec.Struct):
    """What a worker says: that it is ready, that a step begins, a finished line, or that it is done."""

    ready: bool = False
    """It has imported what it needs; the first thing it says."""
    begin: str | None = None
    """Id of the case that every failure from here on is charged to."""
    step: str | None = None
    line: Verification | Count | Samples | None = None
    done: bool = False
    error: str | None = None
    """What ended this process early, on one line."""
    oom: bool = False


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the host or on a device."""
    import torch

    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "not enough memory" in text or "can't allocate memory" in text
    )


def one_line(error: BaseException) -> str:
    """An error's type and text on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]

"""Messages between a supervisor and a worker: one job to it, one message per line back."""

from __future__ import annotations

import msgspec

from arbench.bench.case import CaseKey
from arbench.results import Count, Samples, Verification


class Given(msgspec.Struct):
    """Classes of the user's own that no worker can import; see ``arbench.bench.workers.given``."""

    path: list[str]
    """Where the parent searches for modules."""
    classes: bytes
    """The classes by name, pickled by the parent."""


class Job(msgspec.Struct):
    """The work for one worker."""

    stage: str
    """Kind of work: 'prove' (verify and count) or 'time'."""
    cases: list[CaseKey]
    seed: int
    threads: int
    weights: str | None = None
    data: str | None = None
    count_budget_s: float = 1.0
    direct: bool = False
    """True to count every size directly, and to extrapolate only where that takes too long."""
    worker: int = 0
    rounds: int | None = None
    """Number of rounds; None for as many as fit ``share_s``, at least one."""
    share_s: float = 0.0
    """Seconds that timing may take; for proving, the longest call that could still be timed."""
    call_s: dict[str, float] = {}
    """Seconds that a warm call of each case took while proving, by id."""
    compiling: list[str] = []
    """Ids of the cases whose first call took much longer, as where it compiles; it is never timed."""
    verified: list[str] = []
    outcomes: dict[str, str] = {}
    """Digests of the verified outcomes, by case id."""
    counted: list[str] = []
    done: list[tuple[str, int]] = []
    """Pairs of case and round that an earlier process of this worker finished."""
    given: Given | None = None


class Message(msgspec.Struct):
    """A report of a worker: it is ready, a step begins, a line is finished, the job is done, or an error stopped it."""

    ready: bool = False
    """True in the first message: the worker has imported what it needs."""
    begin: str | None = None
    """Id of the case that a failure from now on is charged to."""
    step: str | None = None
    line: Verification | Count | Samples | None = None
    done: bool = False
    error: str | None = None
    """The error that stops this process, on one line."""
    oom: bool = False


def out_of_memory(error: BaseException) -> bool:
    """Return True if an error means that memory ran out, on the host or on a device."""
    import torch

    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "not enough memory" in text or "can't allocate memory" in text
    )

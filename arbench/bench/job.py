"""Messages between a supervisor and a worker: one job to it, one message per line back."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from arbench.bench.case import CaseKey
from arbench.bench.options import Options
from arbench.results import Count, Model, Profile, Samples, Verification


class Given(msgspec.Struct):
    """Classes and functions of the user's own that no worker can import; see ``arbench.bench.workers.given``."""

    path: list[str]
    """Where the parent searches for modules."""
    classes: bytes
    """The classes of models, and the methods, by name: two dictionaries, pickled by the parent."""


class Draw(msgspec.Struct):
    """Samples to draw of a model, for people to look at."""

    spec: str
    device: str
    dtype: str
    folder: str
    """Where to write them."""
    element_s: float
    """Seconds that an element takes to sample, as far as known; else 0."""


class Job(msgspec.Struct):
    """The work for one worker."""

    stage: str
    """Kind of work: 'plan', 'check' (verify few cases), 'prove' (verify and count), 'time', 'profile' or 'draw'."""
    cases: list[CaseKey]
    """Empty for planning, which finds them, for a check that plans them first, and for drawing samples."""
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
    options: list[Options] = []
    """The options of each plan to make."""
    models: list[str] = []
    """The models that the options name."""
    methods: list[str] = []
    """The methods that they name by a place, and the peers."""
    draws: list[Draw] = []
    """Samples to draw; their specifications are ``models``."""
    traces: dict[str, str] = {}
    """Files to write the traces of profiled cases to, by id."""
    limits: dict[str, Any] = {}
    """Limits of this machine that profiles are held against, as in a results file."""
    leave_out: bool = False
    """True to leave out models that do not exist; without it such a model refuses its plan."""
    dtypes: list[str] = []
    """Data types to check in; those after the first where there is time."""
    watch_s: float | None = None
    """Seconds after the begin of a step at which to print where it is; None for never."""


class Step(NamedTuple):
    """A step of planning that runs code of a model or method."""

    spec: str
    """The model or method, as the user named it."""
    did: str
    """Participle of what happens to it: 'imported', 'built' or 'planned'."""
    what: str = "model"
    """Kind of it: 'model', 'method' or 'peer'; 'package' for one that a model's file imports."""


class Planned(msgspec.Struct):
    """The cases and models of one plan, or its refusal."""

    cases: list[CaseKey] = []
    models: list[Model] = []
    needed: list[CaseKey] = []
    gone: list[str] = []
    """One line for each model that was left out."""
    lacking: dict[str, str] = {}
    """As in ``Plan``."""
    native: list[str] = []
    """As in ``Few``."""
    refusal: str | None = None
    absent: bool = False
    """As in ``PlanError``."""


class Message(msgspec.Struct):
    """A report of a worker: it is ready, begins a step, finished a line or plan, is done, met an error, or warns."""

    ready: bool = False
    """True in the first message: the worker has imported what it needs."""
    begin: str | None = None
    """Id of the case, or the model, method or peer to plan, that a failure from now on is charged to."""
    step: str | None = None
    what: str = "model"
    """Kind of what planning does the step to: 'model', 'method' or 'peer'."""
    line: Verification | Count | Samples | Profile | None = None
    planned: Planned | None = None
    done: bool = False
    error: str | None = None
    """The error that stops this process, on one line."""
    oom: bool = False
    warning: str | None = None
    """Advice on this machine, on one line; every worker may say the same."""


def out_of_memory(error: BaseException) -> bool:
    """Return True if an error means that memory ran out, on the host or on a device."""
    import torch

    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "not enough memory" in text or "can't allocate memory" in text
    )

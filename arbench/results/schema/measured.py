"""Lines of what is measured of one case, each written as soon as it is known: counters, answers, times and profiles."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from arbench.results.ranges import Natural, Seconds, Share, Size, UnixTime
from arbench.results.schema.line import Line
from arbench.results.schema.names import CountSource, Exactness, Status, TraceFile


class Count(Line, tag="count", omit_defaults=True):
    """Counters of one case: exact and repeatable, taken once, without timing."""

    case: str
    """Id of the case."""
    depth: Natural | None
    """Operations on the longest chain in which each needs the result of the one before."""
    nfe: Natural | None
    """Network evaluations that must happen one after the other."""
    flops: Natural | None
    """Floating-point operations."""
    ops: Natural | None
    """Tensor operations that are launched."""
    bytes: Natural | None
    """Bytes that the operations read and write, without caches."""
    peak_bytes: Natural | None
    """Peak memory above the inputs."""
    count_source: CountSource
    """How the counters are known."""
    why_unknown: str | None = None
    """The reason why a counter is None; None also in files from before this field."""
    twin: str | None = None
    """Stand-in that was counted for the case, such as compiled functions as plain PyTorch; None: the case itself."""
    n: Size | None = None
    """Elements of an event, for a size of the counting ladder that was not itself to be counted; else None."""
    links: dict[str, Natural] = {}
    """Links of the deepest chain by operator, which add up to ``depth``; empty where they are unknown, and in older
    files."""
    ladder_of: str | None = None
    """Id of a counted case of the run that differs from this one only in N, given together with ``n``."""
    outside: bool = False
    """As in ``Verification``."""


class Verification(Line, tag="verification"):
    """Result of the correctness check of one case, before any timing."""

    case: str
    """Id of the case."""
    status: Status
    """``ok``, or why the case is not timed."""
    exactness: Exactness
    """Class of its draws: the same as those of the reference, the same law, or neither."""
    verified: dict[str, Any] | None
    """``how``, ``largest_difference``, ``tolerance``, ``excused_ties``, ``first_difference``, ..."""
    error: str | None = None
    """Fault, on one line."""
    outside: bool = False
    """True where a signal from outside ended the worker (a user's, or the system's without memory): a resumed run tries
    the case again."""


class Samples(Line, tag="samples"):
    """Raw durations of one case in one round of one worker, written as soon as they are measured."""

    case: str
    """Id of the case."""
    worker: Natural
    """Number of the process."""
    round: Natural
    """Number of the round in this process."""
    started_at: UnixTime
    """Unix time."""
    seconds: Annotated[list[Seconds], msgspec.Meta(min_length=1)]
    """Seconds of each call."""
    cold_s: Seconds | None = None
    """Seconds of the worker's first call of this case, before its warm calls."""
    chunks: list[Annotated[list[Seconds], msgspec.Meta(min_length=1)]] | None = None
    """For a stream, the seconds of each chunk of each call: of the first from the start of the call, of the others from
    the chunk before. A sample may have several calls. None for other methods, and in files from before this field."""
    noise_s: list[Share] | None = None
    """Seconds of each of these calls that went into noise."""


class Operator(msgspec.Struct, forbid_unknown_fields=True):
    """The calls of one operator in a profile."""

    name: str
    """Such as ``aten::addmm``; of a kernel of a GPU that no operator launched, its own."""
    calls: Natural
    """Number of its calls."""
    seconds: Share
    """Time within all of them; on a GPU that of the kernels that they launched."""
    limit_s: Share | None
    """Least time that the limits of the machine allow for their FLOPs and bytes, at most ``seconds``; None where what
    they have to do is unknown."""


class Profile(Line, tag="profile", omit_defaults=True):
    """Where the time of a call of one case goes, from a trace that --profile makes after all timing.

    If all parts are known they add up to the time of the call.
    """

    case: str
    """Id of the case."""
    seconds: Seconds
    """Time of a call without the profiler, in the process that made the profile."""
    profiled_s: Seconds
    """Time of a call with the profiler, which is in no part."""
    calls: Size
    """Number of calls that were timed with the profiler; twice as many were timed without it."""
    outside: Literal["python", "idle", "unseen"]
    """Kind of what is outside operators: Python, with the dispatch from there and the freeing of tensors; on a GPU the
    time in which it waits; or something that no trace shows."""
    outside_s: Share
    """Time outside of operators."""
    operators: Natural
    """Number of calls of operators that work: not of views, nor of those that only call others."""
    operators_s: Share
    """Time within all operators, which the following four divide."""
    fixed_s: Share | None
    """Fixed cost of calls of operators, as that of an operator that has nothing to do, and time in those that do no
    work; None as for ``arithmetic_s``."""
    slower_s: Share | None
    """Time by which operators are slower than that and their limits; None as for ``arithmetic_s``."""
    arithmetic_s: Share | None
    """Least time of the operators whose limit is that of their FLOPs; None where what operators have to do is unknown,
    or the limits of the machine."""
    memory_s: Share | None
    """Least time of those whose limit is that of their bytes, at the bandwidth of what was accessed since they were
    accessed last; None as for ``arithmetic_s``."""
    most: list[Operator]
    """The operators that take the most time, in descending order of it."""
    why_unknown: str | None = None
    """The reason why a part is None, or what is left out of the limits."""
    unseen: str | None = None
    """The reason why time outside operators may be that of code that no trace shows."""
    file: TraceFile | None = None
    """The Chrome trace of one call, gzipped, relative to the folder of the run."""

"""The lines of a results file: one class for each kind, with the type and the range of every field.

Names are stable; other people's scripts rely on them. Times are seconds, sizes are bytes, work is floating-point
operations (a multiply-add counts two), ``None`` means "not known", never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from arbench.results.ranges import (
    Factor,
    FactorInterval,
    Natural,
    Number,
    NumberInterval,
    Rate,
    Seconds,
    SecondsInterval,
    Share,
    Size,
    UnixTime,
)

SCHEMA = 1

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


class Line(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind"):
    """Base of every line."""


class Run(Line, tag="run", omit_defaults=True):
    """First line: where and how the run measures, and its plan."""

    schema: int
    """Version of this format."""
    run_id: str
    """Name of the run."""
    started_at: str
    """ISO 8601 time."""
    argv: list[str]
    """The command line."""
    seed: int
    """Seed of weights, noise, data and order."""
    git: str | None
    """12 digits of the commit of the measured repository, with '+' where its files were changed."""
    plan: dict[str, Any]
    """``options`` (models, ops, methods, sizes, rounds, budget, ...) and ``cases``; equal for a resumed run.

    What is read of this and of the other free facts has a type in ``arbench.results.facts``."""
    environment: dict[str, Any]
    """Nested facts about the machine: cpu, gpu, clocks, threads, versions, load."""
    limits: dict[str, Any]
    """``copy`` and ``read``: lists of {bytes, gb_per_s}; ``matmul``: {dtype: gflop_per_s}, with ``tf32`` on a GPU;
    ``timer_s``: seconds that timing adds to a call."""
    committed_at: str | None = None
    """ISO 8601 time of the commit ``git``; None also in files from before this field."""
    sealed: bool = False
    """True if the file gets ``seal`` lines; False in files from before them."""


class Resume(Line, tag="resume"):
    """Start of a process that continues a killed run."""

    run_id: str
    """That of the run that goes on."""
    started_at: str
    """ISO 8601 time."""
    argv: list[str]
    """The command line."""
    environment: dict[str, Any]
    """As in ``Run``."""
    limits: dict[str, Any]
    """As in ``Run``."""
    changed: list[str]
    """Dotted names of the environment's entries that differ from the run's."""


class Decoded(msgspec.Struct, forbid_unknown_fields=True):
    """Translations of held-out sentence pairs by a model, beside their references."""

    decoding: str
    """How the translations were found, such as "greedy"."""
    pairs: Size
    """Number of pairs."""
    equal: Natural
    """Pairs whose translation is the reference, symbol by symbol."""

    def __post_init__(self) -> None:
        """Raise ValueError, which the reader of a file reports, if more translations are equal than there are."""
        if self.equal > self.pairs:
            raise ValueError(f"{self.equal} of {self.pairs} pairs")

    @property
    def differing(self) -> float:
        """Percentage of the translations that differ from their reference."""
        return 100 * (self.pairs - self.equal) / self.pairs


class Trained(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Facts about a model's trained weights, from the checkpoint itself."""

    data: str
    """Name of the data that the model was trained on."""
    bits: Number
    """Cost of an element, on average."""
    unit: str
    """Unit of ``bits``, such as "bits per audio sample"."""
    held_out: bool
    """True if the model was trained on none of the elements that ``bits`` is the average of."""
    seed: Natural
    """Seed of the training."""
    steps: Natural
    """Steps of the optimiser."""
    sha256: str
    """Digest of the checkpoint's file, in hexadecimal digits."""
    draft: str | None = None
    """The same of the draft's checkpoint; None if there is no draft, or its weights are random."""
    data_sha256: str | None = None
    """Digest of the data, in hexadecimal digits; bits are compared where it is the same."""
    teacher: str | None = None
    """The model that it was distilled from, such as "wavenet:teacher@speech"; None if it was not."""
    elements: Natural | None = None
    """Number of elements that ``bits`` is the average of; None in files from before this field."""
    translations: list[Decoded] = []
    """By decoding, the one that takes as long as a draw first; empty for other events, and in files from before this
    field."""
    per_symbol: Size = 1
    """Elements of an event for each symbol of its translation: 2 where every symbol of the source has a fertility."""


class Model(Line, tag="model"):
    """Facts about a model that need no measurement; one line for each model, in the order of the taxonomy."""

    model: str
    """Name of the model."""
    preset: str
    """Its preset, with its settings and the name of its weights."""
    family: str
    """Its row of the taxonomy, in words; empty if it states none."""
    element: str
    """Kind of element: audio sample, sub-pixel, pixel, token."""
    source: str = ""
    """The publication that describes it."""
    remark: str = ""
    """A caveat for readers who compare its figures."""
    trained: Trained | None = None
    """Its trained weights; None for others, and in files from before this field."""
    brings_weights: bool = False
    """True if weights come with the model, and nothing says whether they are trained."""


class Limits(Line, tag="limits"):
    """Limits of the machine, measured again because a row exceeded the earlier ones."""

    measured_at: str
    """ISO 8601 time."""
    limits: dict[str, Any]
    """As in ``Run``."""


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


class Keyed(Line, kw_only=True):
    """Everything that identifies a case except its size N."""

    model: str
    """Name of the model or kernel."""
    preset: str
    """Its preset, with its settings and the name of its weights."""
    op: Op
    """Operation."""
    method: str
    """Name of the method, with its settings."""
    backend: str
    """Backend of the arithmetic: ``eager``, ``compile``, ``numba``, ``triton``."""
    device: str
    """``cpu``, ``cuda``, ``cuda:1``, ..."""
    dtype: str
    """Dtype of weights and noise."""
    batch: Size
    """Events at once."""

    @property
    def key(self) -> tuple[Any, ...]:
        """The fields of ``Keyed``: equal for cases that differ only in N, and for the fits over their sizes."""
        return _key(self)


KEY: tuple[str, ...] = Keyed.__struct_fields__
"""Names of the fields that identify a case except its size."""
_key: Callable[[Any], tuple[Any, ...]] = attrgetter(*KEY)


class Identified(Keyed):
    """Everything that identifies a case; its id is the first field of the line."""

    id: str
    """All fields that identify the case, joined."""


class Case(Identified, tag="case", kw_only=True):
    """One row of the table: what was measured, whether to trust it, and the result."""

    n: Size
    """Elements of an event."""
    element: str
    """Kind of element: audio sample, sub-pixel, pixel, token."""
    weights: Natural
    """Number of parameters of the model."""
    status: Status
    """``ok``, or why there is no time."""
    exactness: Exactness
    """Class of its draws: the same as those of the reference, the same law, or neither."""
    error: str | None = None
    """Fault, on one line."""
    rate_hz: Rate | None = None
    """Elements per second of real time (audio), for the real-time factor."""
    verified: dict[str, Any] | None = None
    """How the case was verified, as in ``Verification``."""
    depth: Natural | None = None
    """Operations on the longest chain in which each needs the result of the one before."""
    nfe: Natural | None = None
    """Network evaluations that must happen one after the other."""
    flops: Natural | None = None
    """Floating-point operations."""
    ops: Natural | None = None
    """Tensor operations that are launched."""
    bytes: Natural | None = None
    """Bytes that the operations read and write, without caches."""
    peak_bytes: Natural | None = None
    """Peak memory above the inputs."""
    count_source: CountSource = "none"
    """How the counters are known."""
    why_unknown: str | None = None
    """The reason why a counter is None, if the case was counted; None also in files from before this field."""
    twin: str | None = None
    """As in ``Count``."""
    median_s: Seconds | None = None
    """Median over the workers' medians."""
    ci95_s: SecondsInterval | None = None
    """95% order-statistic interval over workers; None if there are fewer than six."""
    range_s: SecondsInterval | None = None
    """Smallest and largest of the workers' medians, if there are too few for an interval."""
    cold_s: Seconds | None = None
    """Seconds of the first call in a fresh worker, median over workers."""
    threads: Size | None = None
    """Threads of the method where its name states them; None: those of the run."""
    chunk: Size | None = None
    """Elements of a chunk, for a method that draws chunk by chunk; this and what follows on chunks is None for others,
    and in files from before these fields."""
    first_s: Seconds | None = None
    """Seconds from the start of a call to its first chunk, median over workers."""
    gap_median_s: Seconds | None = None
    """Seconds from a chunk to the next, median over workers; the gap before a last chunk of fewer elements is left
    out."""
    gap_worst_s: Seconds | None = None
    """The longest gap of any call."""
    gap_p99_s: Seconds | None = None
    """99th percentile of all gaps, where there are 459 or more."""
    gaps: Natural | None = None
    """Number of gaps that were measured."""
    noise_s: Share | None = None
    """Seconds of a call that went into noise, median over workers; ``median_s`` includes them."""
    prompt: Natural | None = None
    """Tokens of a language model's prompt, which ``n`` does not count; this and the two fields that follow are None for
    other models, and in files from before these fields."""
    state_bytes: Natural | None = None
    """Bytes of the state of an event, such as a cache, once its last token is known; None where a model has no
    incremental step, or where its steps are wrong."""
    token_bytes: Natural | None = None
    """Those of them that the last token adds, 0 where a state does not grow; None also for events of one token."""
    workers: Natural = 0
    """Processes that timed the case."""
    samples: Natural = 0
    """Calls that were timed."""
    outliers: Natural = 0
    """Calls far from the others; they are counted, and kept."""
    stopped_by: StoppedBy | None = None
    """Why no more were timed."""
    unstable: bool = False
    """True where times differ by more than 10% between processes, or by 25% within one."""


class Ratio(Line, tag="ratio"):
    """Speed of ``case`` relative to ``reference`` (>1: faster), from samples of the same rounds."""

    case: str
    """Id of the faster or slower case."""
    reference: str
    """Id of the case that it is compared with."""
    ratio: Factor
    """Median over workers."""
    ci95: FactorInterval | None
    """95% order-statistic interval over workers; None if there are fewer than six."""
    range: FactorInterval | None = None
    """Smallest and largest ratio of a worker, if there are too few for an interval."""
    workers: Natural = 0
    """Processes that timed both."""


class Slowdown(Line, tag="slowdown"):
    """Seconds of sampling over seconds of scoring at the same N (>1: sampling takes longer), from the same rounds."""

    sample: str
    """Id of the case that samples."""
    score: str
    """Id of the case that scores: the fastest exact scoring method at this N that accepts any data."""
    ratio: Factor
    """Median over workers."""
    ci95: FactorInterval | None
    """95% order-statistic interval over workers; None if there are fewer than six."""
    range: FactorInterval | None = None
    """Smallest and largest ratio of a worker, if there are too few for an interval."""
    workers: Natural = 0
    """Processes that timed both."""


class Fit(Keyed, tag="fit", kw_only=True):
    """Growth of one metric over N, for cases that differ only in N, and the verdict on the model's claim."""

    metric: Literal["depth", "work", "seconds", "nfe", "ops", "weights"]
    """``weights``: the number of parameters of a model, if it grows; stored beside the first of its methods."""
    claimed: Claimed | None
    """'1', 'log N', 'sqrt N', 'N', 'N log N', 'N^2', 'N^3', or with a leading '<= ' for at most."""
    fitted: Fitted | None
    """The class that fits; None if none does."""
    sizes: Annotated[list[Size], msgspec.Meta(min_length=1)]
    """The sizes N."""
    values: Annotated[list[Number], msgspec.Meta(min_length=1)]
    """The metric at each."""
    intercept: Number | None
    """Constant part of the fit."""
    slope: Number | None
    """Coefficient of the fitted class g: ``value = intercept + slope * g(N)``; exact fits may have lower terms too."""
    exponent: Number | None
    """Exponent of the part that grows, after the intercept; 0 for a constant."""
    exponent_ci95: NumberInterval | None
    """Its 95% interval, for seconds."""
    residual: Share | None
    """Largest relative error of the fit."""
    verdict: Verdict
    """Verdict on the claim."""
    why: str
    """The verdict's reason in plain words."""
    grows_by: str | None = None
    """The operators by which a depth grows faster than claimed; None also where they are unknown, and in
    files from before this field."""


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


class Seal(Line, tag="seal", omit_defaults=True):
    """Digest of everything before this line: it shows damage, not forgery, since anyone can compute it again."""

    lines: Natural
    """Number of lines before this one."""
    sha256: str
    """SHA-256 of these lines, each with its newline, in hexadecimal digits."""
    end: bool = False
    """True for the end of the run, False for that of a round."""
    unsealed: Natural = 0
    """Number of lines before this one that no seal covered when the run was continued: they may have changed before."""


AnyLine = (
    Run | Resume | Model | Limits | Count | Verification | Samples | Case | Ratio | Slowdown | Fit | Profile | Seal
)
LATER: dict[type[Line], tuple[str, ...]] = {
    Model: ("trained",),
    Samples: ("chunks", "noise_s"),
    Case: (
        "why_unknown",
        "twin",
        "threads",
        "chunk",
        "first_s",
        "gap_median_s",
        "gap_worst_s",
        "gap_p99_s",
        "gaps",
        "noise_s",
        "prompt",
        "state_bytes",
        "token_bytes",
    ),
    Verification: ("outside",),
    Fit: ("grows_by",),
}
"""Fields that a kind did not have from the beginning; at their default they are not written."""


def with_preset(model: str, preset: str) -> str:
    """Return a model or kernel with its preset, as in ``wavenet:nv``; the name alone if there are no presets."""
    return f"{model}:{preset}" if preset else model

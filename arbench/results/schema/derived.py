"""Lines that follow from the measurements of a run: rows of the table, ratios between them, and growth over N."""

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
)
from arbench.results.schema.line import Line
from arbench.results.schema.names import Claimed, CountSource, Exactness, Fitted, Op, Status, StoppedBy, Verdict


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

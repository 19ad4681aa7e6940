"""The results file: JSON Lines, append-only, one object a line, validated on reading.

This module is the schema and its only reader and writer. A line's ``kind`` says which class below it
is. Names are stable; other people's scripts rely on them. Times are seconds, sizes are bytes, work is
floating-point operations (a multiply-add counts two), ``None`` is "not known", never 0.

Lines are written the moment they are known and never changed: a ``case`` (or ``fit``, ``ratio``) line
with the key of an earlier one replaces it on reading. A torn last line, left by a killed writer, is
dropped with a warning; anything else that does not validate is refused.
"""

from __future__ import annotations

import fcntl
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

SCHEMA = 1
FILE_NAME = "results.jsonl"

Op = Literal["score", "sample", "forward", "backward"]
"""Of a model: score, sample. Of a kernel: forward, backward."""
Status = Literal["ok", "checked", "inexact", "oom", "timeout", "error", "over_budget"]
"""``checked``: the answer is right, seen where timing it would say nothing (Triton's interpreter)."""
Exactness = Literal["pointwise", "distribution", "approximate"]
CountSource = Literal["counted", "extrapolated", "formula", "none"]
StoppedBy = Literal["target", "plateau", "budget", "rounds", "interrupted"]
Verdict = Literal["holds", "fails", "undecided"]


class ResultsError(Exception):
    """A results file that cannot be read, written or continued; the message is one line for the user."""


class WriteError(ResultsError):
    """The disk is full or refuses a line; every earlier one is intact."""


class Line(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind"):
    """Base of every line."""


class Run(Line, tag="run"):
    """First line: where and how the measurement was made, and the plan it follows."""

    schema: int
    run_id: str
    started_at: str
    argv: list[str]
    seed: int
    git: str | None
    plan: dict[str, Any]
    """What was asked (models, ops, methods, sizes, rounds, budget, ...); a resumed run must ask the same."""
    environment: dict[str, Any]
    """Nested facts: cpu, gpu, clocks, threads, versions, load."""
    limits: dict[str, Any]
    """``copy`` and ``read``: lists of {bytes, gb_per_s}; ``matmul``: {dtype: gflop_per_s},
    ``tf32`` among them on a GPU; ``timer_s``: what a timed call adds."""


class Resume(Line, tag="resume"):
    """A killed run went on here."""

    run_id: str
    started_at: str
    argv: list[str]
    environment: dict[str, Any]
    limits: dict[str, Any]
    changed: list[str]
    """Dotted names of the environment's entries that differ from the run's."""


class Model(Line, tag="model"):
    """What is known of a model before it is measured; one line a model, in the order of the taxonomy."""

    model: str
    preset: str
    family: str
    """Its row of the taxonomy, in words; empty where it states none."""
    element: str
    source: str = ""
    """Where it is published."""
    remark: str = ""
    """What a reader must know before comparing its figures."""


class Limits(Line, tag="limits"):
    """The limits, measured again because a row came out above them."""

    measured_at: str
    limits: dict[str, Any]


class Count(Line, tag="count"):
    """Counters of one case: exact and repeatable, taken once, untimed."""

    case: str
    depth: int | None
    nfe: int | None
    flops: int | None
    ops: int | None
    bytes: int | None
    peak_bytes: int | None
    count_source: CountSource
    why_unknown: str | None = None
    """Why ``depth`` is None; None also in files from before this field."""


class Verification(Line, tag="verification"):
    """What the correctness check of one case found, before any timing."""

    case: str
    status: Status
    exactness: Exactness
    verified: dict[str, Any] | None
    """``how``, ``largest_difference``, ``tolerance``, ``excused_ties``, ``first_difference``, ..."""
    error: str | None = None


class Samples(Line, tag="samples"):
    """Raw durations of one case in one round of one worker, as they are made."""

    case: str
    worker: int
    round: int
    started_at: float
    """Unix time."""
    seconds: list[float]
    cold_s: float | None = None
    """The worker's very first call of this case, before its warm calls."""


class Case(Line, tag="case"):
    """One row of the table: what was measured, whether it may be trusted, and what came out."""

    id: str
    model: str
    preset: str
    op: Op
    method: str
    backend: str
    device: str
    dtype: str
    batch: int
    n: int
    """Elements of an event."""
    element: str
    """What an element is: audio sample, sub-pixel, pixel, token."""
    weights: int
    """How many parameters the model has."""
    status: Status
    exactness: Exactness
    error: str | None = None
    rate_hz: float | None = None
    """Elements a second of real time (audio), for the real-time factor."""
    verified: dict[str, Any] | None = None
    depth: int | None = None
    nfe: int | None = None
    flops: int | None = None
    ops: int | None = None
    bytes: int | None = None
    peak_bytes: int | None = None
    count_source: CountSource = "none"
    why_unknown: str | None = None
    """Why ``depth`` is None, where the case was counted; None also in files from before this field."""
    median_s: float | None = None
    """Median over the workers' medians."""
    ci95_s: tuple[float, float] | None = None
    """95% order-statistic interval over workers; None below six workers."""
    range_s: tuple[float, float] | None = None
    """Least and greatest of the workers' medians, where there are too few for an interval."""
    cold_s: float | None = None
    """First call in a fresh worker, median over workers."""
    workers: int = 0
    samples: int = 0
    outliers: int = 0
    stopped_by: StoppedBy | None = None
    unstable: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """The case without its size: what a fit over N belongs to."""
        return (self.model, self.preset, self.op, self.method, self.backend, self.device, self.dtype, self.batch)


class Ratio(Line, tag="ratio"):
    """Speed of ``case`` over ``reference`` (>1: faster), from samples taken in the same rounds."""

    case: str
    reference: str
    ratio: float
    ci95: tuple[float, float] | None
    range: tuple[float, float] | None = None
    workers: int = 0


class Fit(Line, tag="fit"):
    """Growth of one metric of one case over N, and the verdict on what the model claims."""

    model: str
    preset: str
    op: Op
    method: str
    backend: str
    device: str
    dtype: str
    batch: int
    metric: Literal["depth", "work", "seconds", "nfe", "ops", "weights"]
    """``weights``: how many parameters; of a model where they grow, beside one of its methods."""
    claimed: str | None
    """'1', 'log N', 'sqrt N', 'N', 'N log N', 'N^2', 'N^3', or with a leading '<= ' for at most."""
    fitted: str | None
    sizes: list[int]
    values: list[float]
    intercept: float | None
    slope: float | None
    """``value = intercept + slope * g(N)`` for the fitted class g; exact fits may hold lower terms too."""
    exponent: float | None
    exponent_ci95: tuple[float, float] | None
    residual: float | None
    verdict: Verdict
    why: str
    """The verdict's reason in plain words."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Matches ``Case.key``."""
        return (self.model, self.preset, self.op, self.method, self.backend, self.device, self.dtype, self.batch)


AnyLine = Run | Resume | Model | Limits | Count | Verification | Samples | Case | Ratio | Fit
_decoder = msgspec.json.Decoder(AnyLine)
_encoder = msgspec.json.Encoder()


@dataclass
class Results:
    """A results file in memory; for keyed kinds the last line wins."""

    run: Run
    resumes: list[Resume] = field(default_factory=list)
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    """By name and preset; empty in files from before there was such a line."""
    limits: list[Limits] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    samples: list[Samples] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    ratios: dict[tuple[str, str], Ratio] = field(default_factory=dict)
    fits: dict[tuple[Any, ...], Fit] = field(default_factory=dict)

    def add(self, line: AnyLine) -> None:
        """Takes one more line into account."""
        match line:
            case Run():
                raise ResultsError("a second 'run' line")
            case Resume():
                self.resumes.append(line)
            case Model():
                self.models[line.model, line.preset] = line
            case Limits():
                self.limits.append(line)
            case Count():
                self.counts[line.case] = line
            case Verification():
                self.verifications[line.case] = line
            case Samples():
                self.samples.append(line)
            case Case():
                self.cases[line.id] = line
            case Ratio():
                self.ratios[line.case, line.reference] = line
            case Fit():
                self.fits[(*line.key, line.metric)] = line


def _encoded(line: Line) -> bytes:
    """Encode a line; leave ``why_unknown`` out where it is None, so that earlier versions can read the line."""
    if getattr(line, "why_unknown", "") is not None:
        return _encoder.encode(line)
    facts = msgspec.to_builtins(line)
    del facts["why_unknown"]
    return _encoder.encode(facts)


def _parse(raw: bytes, where: str) -> AnyLine:
    try:
        line = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ResultsError(f"{where}: {error}") from None
    if isinstance(line, Run) and line.schema != SCHEMA:
        raise ResultsError(f"{where}: schema {line.schema} is unknown; this arbench reads schema {SCHEMA}")
    return line


def locate(path: Path) -> Path:
    """The results file that ``path`` (a file, or a run's folder) means."""
    return path / FILE_NAME if os.path.isdir(path) else path


def read(path: Path) -> Results:
    """Reads and validates a results file or a run's folder.

    Raises:
        ResultsError: no such file, no ``run`` line first, or any line but a torn last one invalid.
    """
    path = locate(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    whole, _, torn = data.rpartition(b"\n")
    if torn:
        warnings.warn(f"{path}: a torn last line was dropped", stacklevel=2)
    raws = whole.split(b"\n") if whole else []
    if not raws:
        raise ResultsError(f"{path}: empty; a results file begins with a 'run' line")
    first = _parse(raws[0], f"{path}:1")
    if not isinstance(first, Run):
        raise ResultsError(f"{path}:1: a results file begins with a 'run' line")
    results = Results(first)
    for number, raw in enumerate(raws[1:], 2):
        line = _parse(raw, f"{path}:{number}")
        try:
            results.add(line)
        except ResultsError as error:
            raise ResultsError(f"{path}:{number}: {error}") from None
    return results


class Writer:
    """Appends lines to one results file, which it holds alone while open.

    Args:
        path: the file; made if missing, its folder too. A torn last line is cut off.

    Raises:
        ResultsError: another process writes there, or the place cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ResultsError(f"cannot write {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise ResultsError(f"{path} is being written by another run; choose another --out") from None
        self._end = self._cut_torn_line()

    def _cut_torn_line(self) -> int:
        size = os.fstat(self._fd).st_size
        end = os.pread(self._fd, size, 0).rfind(b"\n") + 1 if size else 0
        if end != size:
            os.ftruncate(self._fd, end)
        return end

    @property
    def empty(self) -> bool:
        """Whether the file holds no line yet."""
        return self._end == 0

    def write(self, line: Line) -> None:
        """Appends ``line`` whole, or leaves the file as it was.

        Raises:
            WriteError: the disk is full or refuses; every earlier line is intact.
        """
        raw = _encoded(line) + b"\n"
        done = 0
        try:
            while done < len(raw):
                done += os.pwrite(self._fd, raw[done:], self._end + done)
            self._end += len(raw)
        except OSError as error:
            raise WriteError(f"cannot write {self.path}: {error.strerror}; the earlier lines are intact") from None
        finally:
            if os.fstat(self._fd).st_size > self._end:  # also when an interrupt came in between
                os.ftruncate(self._fd, self._end)

    def close(self) -> None:
        """Flushes to the disk and gives the file up."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""The results file: JSON Lines, append-only, one object a line, validated on reading.

This module is the schema and its only reader and writer. A line's ``kind`` names its class below. Names are stable;
other people's scripts rely on them. Times are seconds, sizes are bytes, work is floating-point operations (a
multiply-add counts two), ``None`` means "not known", never 0.

Lines are written as soon as they are known and never changed: a later ``case``, ``fit`` or ``ratio`` line with the
same key replaces the earlier one on reading. A torn last line, left by a killed writer, is dropped with a warning;
anything else that does not validate is refused.
"""

from __future__ import annotations

import fcntl
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from arbench.files import require_regular

SCHEMA = 1
FILE_NAME = "results.jsonl"

COUNTERS = ("depth", "nfe", "flops", "ops", "bytes")
"""Exact counters of a case, by their fields in ``Count`` and ``Case``; peak memory is measured, not exact."""

Op = Literal["score", "sample", "forward", "backward"]
"""Operation of a model (score, sample) or of a kernel (forward, backward)."""
Status = Literal["ok", "checked", "inexact", "oom", "timeout", "error", "over_budget"]
"""``checked``: the answer is right, but was computed where its time means nothing (Triton's interpreter)."""
Exactness = Literal["pointwise", "distribution", "approximate"]
CountSource = Literal["counted", "extrapolated", "formula", "none"]
StoppedBy = Literal["target", "plateau", "budget", "rounds", "interrupted"]
Verdict = Literal["holds", "fails", "undecided"]


class ResultsError(Exception):
    """Failure to read, write or continue a results file; the message is one line for the user."""


class WriteError(ResultsError):
    """Failure to write a line, such as on a full disk; every earlier line is intact."""


class Line(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind"):
    """Base of every line."""


class Run(Line, tag="run", omit_defaults=True):
    """First line: where and how the run measures, and its plan."""

    schema: int
    run_id: str
    started_at: str
    argv: list[str]
    seed: int
    git: str | None
    """12 digits of the commit of the measured repository, with '+' where its files were changed."""
    plan: dict[str, Any]
    """``options`` (models, ops, methods, sizes, rounds, budget, ...) and ``cases``; equal for a resumed run."""
    environment: dict[str, Any]
    """Nested facts about the machine: cpu, gpu, clocks, threads, versions, load."""
    limits: dict[str, Any]
    """``copy`` and ``read``: lists of {bytes, gb_per_s}; ``matmul``: {dtype: gflop_per_s}, with ``tf32`` on a GPU;
    ``timer_s``: seconds that timing adds to a call."""
    committed_at: str | None = None
    """ISO 8601 time of the commit ``git``; None also in files from before this field."""


class Resume(Line, tag="resume"):
    """Start of a process that continues a killed run."""

    run_id: str
    started_at: str
    argv: list[str]
    environment: dict[str, Any]
    limits: dict[str, Any]
    changed: list[str]
    """Dotted names of the environment's entries that differ from the run's."""


class Model(Line, tag="model"):
    """Facts about a model that need no measurement; one line for each model, in the order of the taxonomy."""

    model: str
    preset: str
    family: str
    """Its row of the taxonomy, in words; empty if it states none."""
    element: str
    source: str = ""
    """The publication that describes it."""
    remark: str = ""
    """A caveat for readers who compare its figures."""


class Limits(Line, tag="limits"):
    """Limits of the machine, measured again because a row exceeded the earlier ones."""

    measured_at: str
    limits: dict[str, Any]


class Count(Line, tag="count", omit_defaults=True):
    """Counters of one case: exact and repeatable, taken once, without timing."""

    case: str
    depth: int | None
    nfe: int | None
    flops: int | None
    ops: int | None
    bytes: int | None
    peak_bytes: int | None
    count_source: CountSource
    why_unknown: str | None = None
    """The reason why a counter is None; None also in files from before this field."""
    twin: str | None = None
    """Stand-in that was counted for the case, such as compiled functions as plain PyTorch; None: the case itself."""
    n: int | None = None
    """Elements of an event, for a size of the counting ladder that was not itself to be counted; else None."""
    ladder_of: str | None = None
    """Id of a counted case of the run that differs from this one only in N, given together with ``n``."""


class Verification(Line, tag="verification"):
    """Result of the correctness check of one case, before any timing."""

    case: str
    status: Status
    exactness: Exactness
    verified: dict[str, Any] | None
    """``how``, ``largest_difference``, ``tolerance``, ``excused_ties``, ``first_difference``, ..."""
    error: str | None = None


class Samples(Line, tag="samples"):
    """Raw durations of one case in one round of one worker, written as soon as they are measured."""

    case: str
    worker: int
    round: int
    started_at: float
    """Unix time."""
    seconds: list[float]
    cold_s: float | None = None
    """Seconds of the worker's first call of this case, before its warm calls."""


class Keyed(Line, kw_only=True):
    """Everything that identifies a case except its size N."""

    model: str
    preset: str
    op: Op
    method: str
    backend: str
    device: str
    dtype: str
    batch: int

    @property
    def key(self) -> tuple[Any, ...]:
        """The fields of ``Keyed``: equal for cases that differ only in N, and for the fits over their sizes."""
        return tuple(getattr(self, name) for name in KEY)


KEY: tuple[str, ...] = Keyed.__struct_fields__
"""Names of the fields that identify a case except its size."""


class Identified(Keyed):
    """Everything that identifies a case; its id is the first field of the line."""

    id: str


class Case(Identified, tag="case", kw_only=True):
    """One row of the table: what was measured, whether to trust it, and the result."""

    n: int
    """Elements of an event."""
    element: str
    """Kind of element: audio sample, sub-pixel, pixel, token."""
    weights: int
    """Number of parameters of the model."""
    status: Status
    exactness: Exactness
    error: str | None = None
    rate_hz: float | None = None
    """Elements per second of real time (audio), for the real-time factor."""
    verified: dict[str, Any] | None = None
    depth: int | None = None
    nfe: int | None = None
    flops: int | None = None
    ops: int | None = None
    bytes: int | None = None
    peak_bytes: int | None = None
    count_source: CountSource = "none"
    why_unknown: str | None = None
    """The reason why a counter is None, if the case was counted; None also in files from before this field."""
    twin: str | None = None
    """As in ``Count``."""
    median_s: float | None = None
    """Median over the workers' medians."""
    ci95_s: tuple[float, float] | None = None
    """95% order-statistic interval over workers; None if there are fewer than six."""
    range_s: tuple[float, float] | None = None
    """Smallest and largest of the workers' medians, if there are too few for an interval."""
    cold_s: float | None = None
    """Seconds of the first call in a fresh worker, median over workers."""
    workers: int = 0
    samples: int = 0
    outliers: int = 0
    stopped_by: StoppedBy | None = None
    unstable: bool = False


class Ratio(Line, tag="ratio"):
    """Speed of ``case`` relative to ``reference`` (>1: faster), from samples of the same rounds."""

    case: str
    reference: str
    ratio: float
    ci95: tuple[float, float] | None
    range: tuple[float, float] | None = None
    workers: int = 0


class Fit(Keyed, tag="fit", kw_only=True):
    """Growth of one metric over N, for cases that differ only in N, and the verdict on the model's claim."""

    metric: Literal["depth", "work", "seconds", "nfe", "ops", "weights"]
    """``weights``: the number of parameters of a model, if it grows; stored beside the first of its methods."""
    claimed: str | None
    """'1', 'log N', 'sqrt N', 'N', 'N log N', 'N^2', 'N^3', or with a leading '<= ' for at most."""
    fitted: str | None
    sizes: list[int]
    values: list[float]
    intercept: float | None
    slope: float | None
    """Coefficient of the fitted class g: ``value = intercept + slope * g(N)``; exact fits may have lower terms too."""
    exponent: float | None
    exponent_ci95: tuple[float, float] | None
    residual: float | None
    verdict: Verdict
    why: str
    """The verdict's reason in plain words."""


AnyLine = Run | Resume | Model | Limits | Count | Verification | Samples | Case | Ratio | Fit
_LATER = ("why_unknown", "twin")
"""Fields that ``Case`` did not have from the beginning."""
_decoder = msgspec.json.Decoder(AnyLine)
_encoder = msgspec.json.Encoder()


@dataclass
class Results:
    """A results file in memory; of lines with the same key, the last one counts."""

    run: Run
    resumes: list[Resume] = field(default_factory=list)
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    """Models by name and preset; empty for files from before such lines existed."""
    limits: list[Limits] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    samples: list[Samples] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    ratios: dict[tuple[str, str], Ratio] = field(default_factory=dict)
    fits: dict[tuple[Any, ...], Fit] = field(default_factory=dict)

    def add(self, line: AnyLine) -> None:
        """Add one line. Raises ResultsError for a second ``run`` line."""
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
    """Encode a line; one of a case whose later fields are None looks as it did before those fields."""
    if not isinstance(line, Case):
        return _encoder.encode(line)
    facts = msgspec.to_builtins(line)
    for name in _LATER:
        if facts[name] is None:
            del facts[name]
    return _encoder.encode(facts)


def _parse(raw: bytes, where: str) -> AnyLine:
    try:
        line = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ResultsError(f"{where}: {error}") from None
    if isinstance(line, Run) and line.schema != SCHEMA:
        raise ResultsError(f"{where}: schema {line.schema} is unknown; this arbench reads schema {SCHEMA}")
    return line


def with_preset(model: str, preset: str) -> str:
    """Return a model or kernel with its preset, as in ``wavenet:nv``; the name alone if there are no presets."""
    return f"{model}:{preset}" if preset else model


def locate(path: Path) -> Path:
    """Return the results file at a path, which names the file or the folder of a run."""
    return path / FILE_NAME if os.path.isdir(path) else path


def read(path: Path) -> Results:
    """Read and validate a results file.

    Args:
        path: the file, or the folder of a run.

    Raises:
        ResultsError: there is no such file, its first line is not a ``run`` line, or a line other than a torn last
            one is invalid.
    """
    path = locate(path)
    try:
        require_regular(path)
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
    """Appends lines to one results file, which no other process can write while this one is open.

    Args:
        path: the file; created if missing, with its folder. A torn last line is cut off.

    Raises:
        ResultsError: another process is writing the file, or it cannot be created or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            require_regular(path)
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
        """True while the file contains no line."""
        return self._end == 0

    def write(self, line: Line) -> None:
        """Append a whole line, or leave the file as it was.

        Raises:
            WriteError: the disk is full or the write fails; every earlier line is intact.
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
            if os.fstat(self._fd).st_size > self._end:  # also after an interrupt
                os.ftruncate(self._fd, self._end)

    def close(self) -> None:
        """Flush to disk, and close and unlock the file."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

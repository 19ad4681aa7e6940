"""The results file: JSON Lines, append-only, one object a line, validated on reading.

This package is the schema and its only reader and writer. A line's ``kind`` names its class in ``schema``.

Lines are written as soon as they are known and never changed: a later ``case``, ``fit``, ``ratio`` or ``slowdown``
line with the same key replaces the earlier one on reading. ``seal`` lines tell whether a line is missing, doubled or
changed. A torn last line, left by a killed writer, is dropped with a warning; anything else that does not validate is
refused.
"""

from arbench.results.errors import ResultsError, WriteError
from arbench.results.memory import Results
from arbench.results.reader import FILE_NAME, locate, read
from arbench.results.schema import SCHEMA, AnyLine
from arbench.results.schema.derived import KEY, Case, Fit, Identified, Keyed, Ratio, Slowdown
from arbench.results.schema.line import Line
from arbench.results.schema.measured import Count, Operator, Profile, Samples, Verification
from arbench.results.schema.names import (
    COUNTERS,
    CRASHED,
    OWN_SAMPLES,
    CountSource,
    Exactness,
    Op,
    Status,
    StoppedBy,
    Verdict,
    with_preset,
)
from arbench.results.schema.run import Decoded, Limits, Model, Resume, Run, Seal, Trained
from arbench.results.seals import Integrity
from arbench.results.taken import TakenError
from arbench.results.writer import Writer

__all__ = [
    "COUNTERS",
    "CRASHED",
    "FILE_NAME",
    "KEY",
    "OWN_SAMPLES",
    "SCHEMA",
    "AnyLine",
    "Case",
    "Count",
    "CountSource",
    "Decoded",
    "Exactness",
    "Fit",
    "Identified",
    "Integrity",
    "Keyed",
    "Limits",
    "Line",
    "Model",
    "Op",
    "Operator",
    "Profile",
    "Ratio",
    "Results",
    "ResultsError",
    "Resume",
    "Run",
    "Samples",
    "Seal",
    "Slowdown",
    "Status",
    "StoppedBy",
    "TakenError",
    "Trained",
    "Verdict",
    "Verification",
    "WriteError",
    "Writer",
    "locate",
    "read",
    "with_preset",
]

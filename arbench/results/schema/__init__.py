"""The lines of a results file: one class for each kind, with the type and the range of every field.

Names are stable; other people's scripts rely on them. Times are seconds, sizes are bytes, work is floating-point
operations (a multiply-add counts two), ``None`` means "not known", never 0.
"""

from __future__ import annotations

from arbench.results.schema.derived import Case, Fit, Ratio, Slowdown
from arbench.results.schema.line import Line
from arbench.results.schema.measured import Count, Profile, Samples, Verification
from arbench.results.schema.run import Limits, Model, Resume, Run, Seal

SCHEMA = 1

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

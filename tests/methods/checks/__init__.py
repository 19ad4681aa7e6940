"""Properties of any model run by any method, in float64: one function each, which raises AssertionError.

``test_faults`` shows that each of them can fail. Those that take a ``method`` are properties of methods, the others of
models and of their laws.
"""

from __future__ import annotations

from .counts import counts_repeat, split_and_stacked_caches_agree
from .influence import conditioning_matters, no_blind_spot, no_gradient_from_later, nothing_leaks, receptive_field
from .laws import conditionals_integrate_to_one, frequencies_agree, log_determinant, sums_to_one, transform_is_uniform
from .outcomes import agrees, keeps_given, log_probs_agree, resets, rows_agree
from .sources import built, by, content, job, length, ran, shared, space, spoilt
from .steps import chunks_agree, rewinds

__all__ = [
    "agrees",
    "built",
    "by",
    "chunks_agree",
    "conditionals_integrate_to_one",
    "conditioning_matters",
    "content",
    "counts_repeat",
    "frequencies_agree",
    "job",
    "keeps_given",
    "length",
    "log_determinant",
    "log_probs_agree",
    "no_blind_spot",
    "no_gradient_from_later",
    "nothing_leaks",
    "ran",
    "receptive_field",
    "resets",
    "rewinds",
    "rows_agree",
    "shared",
    "space",
    "split_and_stacked_caches_agree",
    "spoilt",
    "sums_to_one",
    "transform_is_uniform",
]

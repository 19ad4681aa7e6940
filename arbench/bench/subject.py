"""Loads what the cases of a job measure: a model, or all kernels."""

from __future__ import annotations

from arbench.bench.call import Subject, keep_float32_exact
from arbench.bench.case import KERNEL_SPEC
from arbench.bench.job import Job


def opened(job: Job) -> Subject:
    """Load and return the subject of a job's cases."""
    keep_float32_exact()
    if job.cases[0].spec == KERNEL_SPEC:
        from arbench.bench.kernels.subject import KernelSubject

        return KernelSubject(job)
    from arbench.bench.models.subject import ModelSubject

    return ModelSubject(job)

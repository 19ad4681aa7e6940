"""What a worker needs of the thing it measures, be it a model or kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from arbench.bench.case import KERNELS, CaseKey
from arbench.bench.job import Job, Message
from arbench.results import Count


@dataclass(frozen=True)
class Call:
    """What is timed."""

    run: Callable[[], Any]
    times: int = 1
    """How often a call does what the case names."""


class Subject(Protocol):
    """Everything that the cases of one setting run on; opened once in a process."""

    def verify(self, job: Job) -> Iterator[Message]:
        """Verifies the cases that are not yet: says which one begins, then what was found."""

    def count(self, cases: list[CaseKey], budget_s: float) -> Iterator[Count]:
        """Counts the cases of one family, alike but for N."""

    def build(self) -> Callable[[CaseKey], Call]:
        """Everything anew in fresh memory; gives the call of a case."""


def opened(job: Job) -> Subject:
    """The subject of a job's cases."""
    if job.cases[0].spec == KERNELS:
        from arbench.bench.kernel_subject import KernelSubject

        return KernelSubject(job)
    from arbench.bench.model_subject import ModelSubject

    return ModelSubject(job)

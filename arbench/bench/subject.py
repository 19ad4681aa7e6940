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


def float32_as_it_is() -> None:
    """Keeps PyTorch's convolutions in float32 as its products are: on a GPU they round to TF32 without being
    asked, ten bits of 23, and would be neither verified nor timed as what they are called."""
    import torch

    torch.backends.cudnn.allow_tf32 = False


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
    float32_as_it_is()
    if job.cases[0].spec == KERNELS:
        from arbench.bench.kernels.subject import KernelSubject

        return KernelSubject(job)
    from arbench.bench.models.subject import ModelSubject

    return ModelSubject(job)

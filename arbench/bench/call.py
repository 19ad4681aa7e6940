"""What a worker measures and how it calls it: the contract that models and kernels meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Message
from arbench.results import Count


@dataclass(frozen=True)
class Call:
    """A prepared function to time.

    Attributes:
        run: performs the call.
        times: how often one call does what its case names.
    """

    run: Callable[[], Any]
    times: int = 1


class Subject(Protocol):
    """A model, or all kernels, opened once in a worker process."""

    def verify(self, job: Job) -> Iterator[Message]:
        """Verify the cases of a job; yield which case begins, then what was found."""

    def count(self, cases: list[CaseKey], budget_s: float) -> Iterator[Count]:
        """Count the cases of one family: cases that differ in N alone."""

    def build(self) -> Callable[[CaseKey], Call]:
        """Build everything anew in fresh memory; return a function from a case to its call."""


def keep_float32_exact() -> None:
    """Stop cuDNN from rounding float32 convolutions to TF32.

    By default PyTorch lets cuDNN keep 10 of the 23 bits of a mantissa; such a call would be verified and timed
    under a name that it does not deserve.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False

"""The contract between a worker and what it measures, which models and kernels both fulfil."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Message
from arbench.results import Count

if TYPE_CHECKING:
    from arbench.meters.laps import Laps


@dataclass(frozen=True)
class Call:
    """A prepared function to time.

    Attributes:
        run: performs the call.
        times: number of times that one call does the work of its case.
        check: compares what ``run`` returned with the verified outcome, and raises InexactError where it differs.
        laps: the chunks of each call so far, where ``run`` draws chunk by chunk, with the time of their noise.
    """

    run: Callable[[], Any]
    times: int = 1
    check: Callable[[Any], None] = lambda _: None
    laps: Laps | None = None


class Kept:
    """A function that keeps what it returned last, until that is checked.

    Args:
        run: performs the call.
        check: as in ``Call``.
    """

    def __init__(self, run: Callable[[], Any], check: Callable[[Any], None]) -> None:
        self._run, self._check = run, check
        self._outcome: Any = None

    def __call__(self) -> None:
        """Make the call, once the outcome of the one before is freed."""
        self._outcome = None
        self._outcome = self._run()

    def check(self) -> None:
        """Compare the last outcome with the verified one, and free it. Raises InexactError."""
        outcome, self._outcome = self._outcome, None
        self._check(outcome)


class Subject(Protocol):
    """A model, or all kernels, loaded once in a worker process."""

    def verify(self, job: Job) -> Iterator[Message]:
        """Verify the cases that are not in ``job.verified``; for each, yield that it begins, then its verification."""

    def count(self, cases: list[CaseKey], budget_s: float) -> Iterator[Count]:
        """Count cases that differ only in N."""

    def build(self) -> Callable[[CaseKey], Call]:
        """Build everything again in fresh memory; return a function from a case to its call."""


def keep_float32_exact() -> None:
    """Stop cuDNN from rounding float32 convolutions to TF32.

    By default PyTorch lets cuDNN keep only 10 of the 23 bits of a mantissa, so a case named float32 would not be
    computed in float32.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False

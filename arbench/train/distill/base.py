"""The parts of a kind of distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from arbench.models import Source
from arbench.train.distill.teacher import Teacher
from arbench.train.loop import Progress, Trained
from arbench.train.quality import Quality
from arbench.train.recipe import Recipe
from arbench.train.run import Run


@dataclass(frozen=True)
class Distilled:
    """Result of a distillation.

    Args:
        trained: how the training went.
        quality: quality of the student on the held-out part.
        lines: what to say of student and teacher, line by line.
        figures: the same as numbers, for a file.
    """

    trained: Trained
    quality: Quality
    lines: Sequence[str]
    figures: Mapping[str, Any]


class Distiller(Protocol):
    """A kind of distillation, which is a module."""

    RECIPE: Recipe
    """Recipe to start from."""
    SETTINGS: Mapping[str, int | float]
    """Settings beside the recipe, with their defaults; each is an option of ``arbench distill``."""
    MEASURE: str
    """Name of what each evaluation measures, such as "divergence"."""

    def refusal(self, student: Source, teacher: Source) -> str | None:
        """Return why the teacher cannot teach the student, on one line; None if it can."""

    def wrong(self, settings: Mapping[str, Any]) -> str | None:
        """Return which setting is impossible and what would be right, on one line; None if all are possible."""

    def distil(
        self,
        run: Run,
        student: Source,
        teacher: Teacher,
        settings: Mapping[str, Any],
        *,
        resume: bool,
        report: Callable[[Progress], None],
    ) -> Distilled:
        """Train the student with its initial weights, write its checkpoint, and judge it and the teacher.

        Raises:
            TrainError: see ``train``.
            StateFileError: see ``train``.
        """

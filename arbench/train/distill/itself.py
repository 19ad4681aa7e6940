"""Sequence-level distillation into a model that draws as its teacher does: what a parallel student is compared with.

Source: Kim and Rush, *Sequence-Level Knowledge Distillation*, 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from arbench.models import Source
from arbench.train.distill.base import Distilled
from arbench.train.distill.lessons import lessons
from arbench.train.distill.report import told
from arbench.train.distill.sequence import MEASURE as MEASURE
from arbench.train.distill.sequence import refusal as refusal
from arbench.train.distill.teacher import Teacher
from arbench.train.likelihood import Likelihood
from arbench.train.loop import Progress
from arbench.train.recipe import Recipe
from arbench.train.run import Run, trained

RECIPE = Recipe(steps=3000, batch=32, n=64, lr=2e-3, every=250)
SETTINGS: Mapping[str, int | float] = {}


def wrong(settings: Mapping[str, Any]) -> str | None:
    """Return None: there is no setting that could be impossible."""
    return None


def distil(
    run: Run,
    student: Source,
    teacher: Teacher,
    settings: Mapping[str, Any],
    *,
    resume: bool,
    report: Callable[[Progress], None],
) -> Distilled:
    """Distil a teacher into a student that draws symbol by symbol; see ``Distiller.distil``."""
    found = lessons(run, student, teacher)
    data = replace(run.data, training=found.training, validation=found.validation, held_out=found.held_out)
    objective = Likelihood(data.training, data.validation, run.recipe)
    facts = {"teacher": teacher.spec, "teacher_sha256": teacher.sha256}
    result, quality = trained(replace(run, data=data), student, objective, facts=facts, resume=resume, report=report)
    return told(teacher, found, result, quality, "of symbols", settings)

"""Sequence-level distillation: a student learns a teacher's translations; a parallel one, its alignments too.

Sources: Kim and Rush, *Sequence-Level Knowledge Distillation*, 2016; Gu et al., *Non-Autoregressive Neural Machine
Translation*, 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from arbench.models import Source
from arbench.models.events.sentences import Aligned, Sentences, Symbols
from arbench.models.parallel_nmt import ParallelNMT
from arbench.models.transformer import Transformer
from arbench.train.distill.aligner import fitted, reconciled
from arbench.train.distill.alignment import aligned
from arbench.train.distill.base import Distilled
from arbench.train.distill.lessons import Lessons, kept, lessons, shared, stored
from arbench.train.distill.report import told
from arbench.train.distill.teacher import Teacher
from arbench.train.likelihood import Likelihood
from arbench.train.loop import Progress
from arbench.train.recipe import Recipe
from arbench.train.run import Run, trained
from arbench.train.translation import decodings, pairs_of
from arbench.train.translation.noisy import noisy

RECIPE = Recipe(steps=3000, batch=32, n=128, lr=2e-3, every=250)
SETTINGS: Mapping[str, int | float] = {"samples": 10, "rounds": 5}
ALIGNMENTS = "alignments.safetensors"
"""File of a run's folder with the fertilities, which a resumed run reads."""
MEASURE = "validation"


class Copying(Likelihood):
    """Likelihood of a teacher's translations; the student begins with the teacher's embedding and encoder.

    That is so where their shapes agree, as in Gu et al., 2017.

    Args:
        teacher: the teacher.
        training: sentences with the teacher's translations and fertilities.
        validation: the like, to choose the best step by.
        recipe: size of events and batches.
    """

    def __init__(self, teacher: Transformer, training: Any, validation: Any, recipe: Recipe) -> None:
        super().__init__(training, validation, recipe)
        self.teacher = teacher

    @torch.no_grad()
    def initialise(self, model: Source) -> None:
        """Copy the teacher's embedding and encoder."""
        assert isinstance(model, ParallelNMT)
        if begins_alike(model, self.teacher):
            assert self.teacher.encoder is not None
            model.embedding.copy_(self.teacher.embedding[: model.levels])
            model.encoder.load_state_dict(self.teacher.encoder.state_dict())


def begins_alike(student: ParallelNMT, teacher: Transformer) -> bool:
    """Return whether the student's embedding and encoder are of the teacher's shape."""
    if teacher.encoder is None or teacher.source_embedding is not None or teacher.scale == 1.0:
        return False
    theirs = {name: tensor.shape for name, tensor in teacher.encoder.state_dict().items()}
    return theirs == {name: tensor.shape for name, tensor in student.encoder.state_dict().items()} and not any(
        part.norm_first for part in teacher.encoder.modules() if hasattr(part, "norm_first")
    )


def refusal(student: Source, teacher: Source) -> str | None:
    """Return why the teacher cannot teach the student, on one line; None if it can."""
    name, mine, theirs = type(teacher).__name__, pairs_of(student), pairs_of(teacher)
    if mine is None:
        return f"the student, a {type(student).__name__} of this preset, does not translate; name nmt_teacher"
    if theirs is None:
        return f"a {name} of this preset does not translate; name a trained nmt_teacher"
    if isinstance(teacher, ParallelNMT):
        return f"a {name} is a student itself; name a trained nmt_teacher"
    if isinstance(student, ParallelNMT) and not isinstance(teacher, Transformer):
        return f"a {name} shows no attention that fertilities could come from; name a trained nmt_teacher"
    if mine.levels != theirs.levels:
        return f"it has levels {theirs.levels}, and the student {mine.levels}; choose levels={theirs.levels}"
    return None


def wrong(settings: Mapping[str, Any]) -> str | None:
    """Return which setting is impossible and what would be right, on one line; None if all are possible."""
    for name, least in (("samples", 1), ("rounds", 0)):
        if settings[name] < least:
            return f"{name} must be at least {least}, got {settings[name]}"
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
    """Distil a teacher into a parallel student; see ``Distiller.distil``.

    The student's bits are those of fertilities and symbols together, with the fertilities of the teacher's alignment.
    """
    assert isinstance(student, ParallelNMT)
    assert isinstance(teacher.model, Transformer)
    theirs = teacher.model
    found = lessons(run, student, teacher)
    rounds = int(settings["rounds"])
    parts = alignments(run, found, theirs, student.fertilities - 1, rounds)
    data = replace(run.data, training=parts[0], validation=parts[1], held_out=parts[2])
    objective = Copying(theirs, data.training, data.validation, run.recipe)
    facts = {"teacher": teacher.spec, "teacher_sha256": teacher.sha256, "rounds": rounds}
    ways = {**decodings(student), "noisy parallel": noisy(theirs, found.n, int(settings["samples"]), run.recipe.seed)}
    result, quality = trained(
        replace(run, data=data), student, objective, ways=ways, facts=facts, resume=resume, report=report
    )
    more = {"encoder": "the teacher's" if begins_alike(student, theirs) else "random", **settings}
    return told(teacher, found, result, quality, JOINT, more)


def alignments(run: Run, found: Lessons, teacher: Transformer, most: int, rounds: int) -> list[Aligned]:
    """Return the pairs to train on, to validate and to hold out with their fertilities, and keep these.

    Args:
        run: the run.
        found: the pairs.
        teacher: the teacher.
        most: largest fertility.
        rounds: rounds of ``aligner.fitted``; 0 for the source symbol most looked at.
    """
    parts = {"training": found.training, "validation": found.validation, "held_out": found.held_out}

    def make() -> dict[str, list[Symbols]]:
        if rounds == 0:
            return {name: aligned(teacher, part, found.n, most).fertilities for name, part in parts.items()}
        law = fitted(teacher, found.training, found.n, most, rounds)
        return {name: reconciled(teacher, part, found.n, law, rounds).fertilities for name, part in parts.items()}

    fertilities = kept(run.folder / ALIGNMENTS, f"{found.key} {most} {rounds}", make)
    return [Aligned(part.sources, part.targets, fertilities[name]) for name, part in parts.items()]


def aligned_again(
    folder: Path, held_out: Sentences, student: Source, teacher: Teacher, recipe: Recipe
) -> Aligned | None:
    """Return the held-out pairs with the fertilities that the folder of a run keeps; None if it keeps none of them.

    Args:
        folder: folder of the run.
        held_out: held-out part of the data.
        student: the student.
        teacher: its teacher.
        recipe: settings of the run.
    """
    part = held_out.chosen(held_out.fitting(shared(student, recipe.eval_n or recipe.n, teacher.n)))
    fertilities = (stored(folder / ALIGNMENTS) or {}).get("held_out", [])
    return Aligned(part.sources, part.targets, fertilities) if len(fertilities) == len(part) else None


JOINT = "of fertilities and symbols together, given the teacher's alignment"

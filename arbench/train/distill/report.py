"""The comparison of a student of translation with its teacher, on the same held-out pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbench.train.distill.base import Distilled
from arbench.train.distill.lessons import Lessons
from arbench.train.distill.teacher import Teacher
from arbench.train.loop import Trained
from arbench.train.quality import Quality, measured
from arbench.train.translation import exact_match


def told(
    teacher: Teacher,
    found: Lessons,
    result: Trained,
    quality: Quality,
    what: str,
    more: Mapping[str, Any],
) -> Distilled:
    """Decode the held-out pairs with the teacher too, and put both into words and figures.

    Args:
        teacher: the teacher.
        found: the pairs.
        result: how the training went.
        quality: bits and translations of the student.
        what: what the student's bits are bits of.
        more: further figures.
    """
    mine = quality.translations
    theirs = exact_match(teacher.model, found.held_out, found.n)["greedy"]
    other = measured(teacher.model, found.held_out, found.n)
    pairs = len(found.held_out)
    bits = {name: one.bits * one.elements / pairs for name, one in (("student", quality), ("teacher", other))}
    lines = [
        f"lessons: {len(found.training):,} translations of the teacher; {found.exact.fraction:.2%} are the reference",
        f"held-out translations, teacher, greedy decoding: {theirs.said()}",
        *(f"held-out translations, student, {name} decoding: {exact.said()}" for name, exact in mine.items()),
        f"bits of a held-out reference: student {bits['student']:.2f} {what}; teacher {bits['teacher']:.2f} of symbols",
    ]
    figures = {
        "teacher": teacher.spec,
        "teacher_sha256": teacher.sha256,
        "pairs": pairs,
        "teacher_exact": theirs.plain(),
        "student_exact": {name: exact.plain() for name, exact in mine.items()},
        "teacher_bits_per_translation": bits["teacher"],
        "student_bits_per_translation": bits["student"],
        "student_bits": what,
        "lessons": len(found.training),
        "lessons_exact": found.exact.plain(),
        **more,
    }
    return Distilled(result, quality, lines, figures)

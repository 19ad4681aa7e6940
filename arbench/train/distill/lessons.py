"""Lessons of sequence-level distillation: a teacher's own translations of the sentences to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from arbench.border.whole import write_bytes
from arbench.files import require_regular
from arbench.models import Source
from arbench.models.events.sentences import Sentences, Symbols, filled
from arbench.train.distill.teacher import Teacher
from arbench.train.run import Run
from arbench.train.translation import decoded, pairs_of
from arbench.train.translation.decode import until_end

LESSONS = "lessons.safetensors"
"""File of a run's folder with the teacher's translations, which a resumed run reads."""
_KEY = "arbench.lessons"


@dataclass(frozen=True)
class Lessons:
    """Sentences that a student learns from and is judged by.

    Args:
        training: sentences to train on, with the teacher's greedy translations.
        validation: the like, to choose the best step by.
        held_out: held-out pairs that fit into the events of both, with their references.
        n: symbols of the teacher's event.
    """

    training: Sentences
    validation: Sentences
    held_out: Sentences
    n: int


def lessons(run: Run, student: Source, teacher: Teacher) -> Lessons:
    """Let a teacher translate the sentences that fit into the events of both, and keep its translations.

    A translation that does not end within the events of both is left out.
    """
    recipe = teacher.checkpoint.recipe
    n = int(recipe.get("eval_n") or recipe["n"])
    events = pairs_of(student)
    assert events is not None
    s, t = (min(length, n) for length in events.lengths(run.recipe.eval_n or run.recipe.n))
    parts = {
        name: part.chosen(part.fitting((s, t)))
        for name, part in (("training", run.data.training), ("validation", run.data.validation))
    }
    key = f"{teacher.sha256} {run.data.sha256} {n} {s} {t}"
    path = run.folder / LESSONS
    found = _read(path, key)
    if found is None:
        found = {name: [*decoded(teacher.model, part, range(len(part)), n)] for name, part in parts.items()}
        arrays = {name: filled(rows, n).numpy().astype(np.int32) for name, rows in found.items()}
        write_bytes(path, save(arrays, metadata={_KEY: key}))
    pairs = {name: Sentences(part.sources, found[name]) for name, part in parts.items()}
    training, validation = (pairs[name].chosen(pairs[name].fitting((s, t))) for name in ("training", "validation"))
    return Lessons(training, validation, run.data.held_out.chosen(run.data.held_out.fitting((s, t))), n)


def _read(path: Path, key: str) -> dict[str, list[Symbols]] | None:
    """Return the translations of a file by part; None if there is none of this teacher and these sentences."""
    try:
        require_regular(path)
        with safe_open(path, framework="np") as file:
            if (file.metadata() or {}).get(_KEY) != key:
                return None
            return {name: _rows(file.get_tensor(name)) for name in ("training", "validation")}
    except (OSError, SafetensorError):
        return None


def _rows(array: Symbols) -> list[Symbols]:
    return [until_end(row) for row in array.astype(np.int64)]

"""Lessons of sequence-level distillation: a teacher's own translations of the sentences to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from arbench.border.whole import write_bytes
from arbench.files import require_regular
from arbench.models import Source
from arbench.models.events.sentences import Sentences, Symbols
from arbench.train.distill.teacher import Teacher
from arbench.train.loop import TrainError
from arbench.train.run import Run
from arbench.train.translation import Exact, compared, decoded, pairs_of

LESSONS = "lessons.safetensors"
"""File of a run's folder with the teacher's translations, which a resumed run reads."""
_KEY = "arbench.lessons"
Rows = Mapping[str, list[Symbols]]


@dataclass(frozen=True)
class Lessons:
    """Sentences that a student learns from and is judged by.

    Args:
        training: sentences to train on, with the teacher's greedy translations.
        validation: the like, to choose the best step by.
        held_out: held-out pairs that fit into the events of both, with their references.
        n: symbols of the teacher's event.
        exact: the teacher's translations of the training part beside its references.
        key: digests of teacher and data, and the sizes.
    """

    training: Sentences
    validation: Sentences
    held_out: Sentences
    n: int
    exact: Exact
    key: str


def lessons(run: Run, student: Source, teacher: Teacher) -> Lessons:
    """Let a teacher translate the sentences that fit into the events of both, and keep its translations.

    A translation that does not end within the events of both is left out.

    Raises:
        TrainError: a part has no translation that ends.
    """
    n = teacher.n
    s, t = shared(student, run.recipe.eval_n or run.recipe.n, n)
    fitting = {
        name: part.chosen(part.fitting((s, t)))
        for name, part in (("training", run.data.training), ("validation", run.data.validation))
    }
    key = f"{teacher.sha256} {run.data.sha256} {n} {s} {t}"
    found = kept(
        run.folder / LESSONS,
        key,
        lambda: {name: [*decoded(teacher.model, part, range(len(part)), n)] for name, part in fitting.items()},
    )
    pairs = {name: Sentences(part.sources, found[name]) for name, part in fitting.items()}
    training, validation = (pairs[name].chosen(pairs[name].fitting((s, t))) for name in ("training", "validation"))
    held_out = run.data.held_out.chosen(run.data.held_out.fitting((s, t)))
    for name, part, left in (
        ("translations of the teacher to learn from", training, "train the teacher longer, or choose a larger --n"),
        ("translations of the teacher to validate by", validation, "train the teacher longer, or choose a larger --n"),
        ("held-out pairs", held_out, "choose a larger --n"),
    ):
        if not len(part):
            raise TrainError(f"{run.folder}: no {name} end within the events of student and teacher; {left}")
    exact = compared(fitting["training"].targets, found["training"])
    return Lessons(training, validation, held_out, n, exact, key)


def shared(student: Source, n: int, teacher_n: int) -> tuple[int, int]:
    """Return the symbols of source and target that events of a student, of ``n`` elements, and of a teacher have."""
    events = pairs_of(student)
    assert events is not None
    s, t = (min(length, teacher_n) for length in events.lengths(n))
    return s, t


def kept(path: Path, key: str, make: Callable[[], Rows]) -> Rows:
    """Return rows of symbols from a file, or make them and write it if it is missing or has another key."""
    found = stored(path, key)
    if found is None:
        found = make()
        arrays = {}
        for name, rows in found.items():
            arrays[f"{name}/symbols"] = np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int32)
            arrays[f"{name}/sizes"] = np.array([len(row) for row in rows], dtype=np.int32)
        write_bytes(path, save(arrays, metadata={_KEY: key}))
    return found


def stored(path: Path, key: str | None = None) -> Rows | None:
    """Return the rows of a file, or None if there is none or it has another key; None for any key."""
    try:
        require_regular(path)
        with safe_open(path, framework="np") as file:
            if key is not None and (file.metadata() or {}).get(_KEY) != key:
                return None
            found = {}
            for name in sorted({name.partition("/")[0] for name in file.keys()}):  # noqa: SIM118 - no mapping
                symbols = file.get_tensor(f"{name}/symbols").astype(np.int64)
                ends = file.get_tensor(f"{name}/sizes").cumsum().tolist()
                found[name] = [symbols[a:b] for a, b in pairwise([0, *ends])]
            return found
    except (OSError, SafetensorError):
        return None

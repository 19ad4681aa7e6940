"""Distillation: a student that draws in few steps learns from a teacher that draws in many."""

from __future__ import annotations

import importlib
from typing import cast

from arbench.models import Source
from arbench.train.distill.base import Distilled as Distilled
from arbench.train.distill.base import Distiller as Distiller
from arbench.train.distill.teacher import Teacher as Teacher
from arbench.train.distill.teacher import opened as opened

DISTILLERS = {
    "arbench.models.parallel_wavenet:ParallelWaveNet": "arbench.train.distill.density",
    "arbench.models.parallel_nmt:ParallelNMT": "arbench.train.distill.sequence",
    "arbench.models.transformer:Transformer": "arbench.train.distill.itself",
    "arbench.models.seq2seq:Seq2Seq": "arbench.train.distill.itself",
}
"""Module that distils into a class of students, a ``Distiller``, by the place of the class."""
STUDENTS = ("parallel_wavenet", "parallel_nmt", "nmt_teacher", "transformer", "seq2seq")
"""Models that ship and can be taught."""


def distiller(student: type[Source]) -> Distiller | None:
    """Return what distils into a class of students or its nearest base; None if nothing does."""
    for base in student.__mro__:
        module = DISTILLERS.get(f"{base.__module__}:{base.__qualname__}")
        if module is not None:
            return cast(Distiller, importlib.import_module(module))
    return None

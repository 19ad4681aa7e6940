"""The teacher of a distillation, from its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from arbench.border.naming import split_weights
from arbench.models import Source, resolve
from arbench.models.weights import Checkpoint, spec_of


@dataclass(frozen=True)
class Teacher:
    """A trained model that another one learns from.

    Args:
        spec: model, preset and checkpoint as results name them, such as "wavenet:teacher@speech".
        model: the model with its weights, which do not change.
        checkpoint: what its file says of it.
        sha256: hexadecimal digest of its file.
    """

    spec: str
    model: Source
    checkpoint: Checkpoint
    sha256: str

    @property
    def n(self) -> int:
        """Elements of the events that it is trained and judged on."""
        recipe = self.checkpoint.recipe
        return int(recipe.get("eval_n") or recipe["n"])


def opened(given: str, dtype: torch.dtype = torch.float32) -> Teacher:
    """Read a teacher.

    Args:
        given: a checkpoint that ships, such as "wavenet:teacher@speech", the path of one, or the folder of a training
            run.
        dtype: dtype of the arithmetic.

    Raises:
        WeightsError: there is no checkpoint, or its weights are those of another model.
        ModelError: there is no such model, or the checkpoint is of another configuration.
    """
    named = split_weights(given)[1] and not Path(given).exists()  # a path may have an at sign
    chosen = resolve(given if named else spec_of(given))
    assert chosen.trained is not None
    model = chosen.build(dtype=dtype)
    return Teacher(f"{chosen.name}:{chosen.preset}", model, chosen.trained.said, chosen.trained.sha256)

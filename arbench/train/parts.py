"""The parts of the data of a run: to train on, to choose the best step by, and to hold out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arbench.data import DataError
from arbench.models import Source
from arbench.models.transformer import Transformer
from arbench.train.digest import digest
from arbench.train.events import event
from arbench.train.quality import Quality, covered, measured
from arbench.train.recipe import Recipe

VALIDATION = 0.05
"""Fraction of the training part that chooses the best step; the held-out part is scored once, at the end."""


@dataclass(frozen=True)
class Divided:
    """The data of a run: parts to train on, to choose the best step by, and to report.

    Args:
        training: part to train on.
        validation: part to choose the best step by.
        held_out: part to report.
        name: name of the data.
        sha256: digest of the data.
        before: what precedes the held-out part, the training and validation parts as one; None if that is unknown.
    """

    training: Any
    validation: Any
    held_out: Any
    name: str
    sha256: str
    before: Any = None


def divided(model: Source, data: Any, name: str, validation: float = VALIDATION) -> Divided:
    """Divide the data of a model in three.

    Args:
        model: model that the data is for.
        data: result of ``load_data``, or None for the data that ships.
        name: name of the data.
        validation: fraction of the training part that chooses the best step.

    Raises:
        arbench.data.DataError: there is too little data to divide.
        NotImplementedError: the model does not say how.
    """
    rest, held_out = model.divide(data)
    try:
        training, chosen_by = model.divide(rest, validation)
    except DataError as error:
        raise DataError(Path("the part to train on"), f"leaves nothing to validate by ({error})") from None
    try:
        sha256 = digest([rest, held_out])
    except TypeError as error:
        raise DataError(Path("the data"), str(error)) from None
    return Divided(training, chosen_by, held_out, name, sha256, rest)


def check(model: Source, data: Divided, recipe: Recipe) -> None:
    """Check that each part of the data has events of the sizes of a recipe.

    Raises:
        arbench.data.DataError: a part has none.
        ValueError: the model has no event of that size.
    """
    model.schedule(recipe.n)
    event(model, recipe.n, [0], recipe.seed, data.training)
    n, option = (recipe.n, "--n") if recipe.eval_n is None else (recipe.eval_n, "--eval-n")
    longest, context = recipe.at_the_end(model.receptive_field)
    if isinstance(model, Transformer):
        for name, size in ((f"--eval-n {n}", n), (f"--held-out-prefix {context}", longest)):
            if size > recipe.n:
                why = f"events of {recipe.n} elements train no later positions, and a window has {size}"
                raise ValueError(f"{name}: {why}; choose less")
    for part, *window in ((data.validation, n, recipe.prefix), (data.held_out, longest, context, data.before)):
        sizes: set[int] = set()
        for piece in covered(model, part, *window):
            if piece.n not in sizes:
                model.schedule(piece.n)
                event(model, piece.n, [0], recipe.seed, piece.data)
                sizes.add(piece.n)
        if not sizes:
            raise DataError(Path("the held-out data"), f"has no event of {n} elements; choose another {option}")


def scored(model: Source, data: Divided, recipe: Recipe, receptive_field: int | None = None) -> Quality:
    """Score the held-out part as it is reported, in the windows of ``Recipe.at_the_end``.

    The first window begins with the end of what comes before the held-out part, where that part continues it: whoever
    predicts the held-out part knows the data that it was trained on, as the baselines do.

    Args:
        model: model to judge.
        data: the data.
        recipe: sizes of the windows, and the seed of the dequantisation.
        receptive_field: number of elements that the model looks back; None for its own.

    Raises:
        DataError: no piece of the held-out part fits.
    """
    n, context = recipe.at_the_end(model.receptive_field if receptive_field is None else receptive_field)
    return measured(model, data.held_out, n, context, seed=recipe.seed, before=data.before)

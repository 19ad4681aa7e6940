"""A training run from a model's name to its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from arbench.border.whole import write_text
from arbench.data import DataError
from arbench.models import Chosen, Source
from arbench.models.events.sentences import Sentences
from arbench.models.transformer import Transformer
from arbench.models.weights import Checkpoint, Data, WeightsError, differences, load, read, write
from arbench.models.weights import Quality as Stated
from arbench.train.digest import digest
from arbench.train.events import event
from arbench.train.likelihood import Likelihood
from arbench.train.loop import Objective, Progress, Trained, train
from arbench.train.quality import Quality, measured
from arbench.train.recipe import Recipe
from arbench.train.state import StateFileError
from arbench.train.translation import Exact, exact_match, pairs_of

MODEL, HELD_OUT, TRANSLATION = "model.safetensors", "held_out.jsonl", "translation.json"
VALIDATION = 0.05
"""Fraction of the training part that chooses the best step; the held-out part is scored once, at the end."""


@dataclass(frozen=True)
class Divided:
    """The data of a run: parts to train on, to choose the best step by, and to report."""

    training: Any
    validation: Any
    held_out: Any
    name: str
    sha256: str


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
    return Divided(training, chosen_by, held_out, name, sha256)


def check(model: Source, data: Divided, recipe: Recipe) -> None:
    """Check that each part of the data has events of the sizes of a recipe.

    Raises:
        arbench.data.DataError: a part has none.
        ValueError: the model has no event of that size.
    """
    model.schedule(recipe.n)
    event(model, recipe.n, [0], recipe.seed, data.training)
    n, option = (recipe.n, "--n") if recipe.eval_n is None else (recipe.eval_n, "--eval-n")
    if isinstance(model, Transformer) and n > recipe.n:
        raise ValueError(f"--eval-n {n}: events of {recipe.n} elements train no later positions; choose at most that")
    for part in (data.validation, data.held_out):
        sizes: set[int] = set()
        for piece in model.pieces(part, n, recipe.prefix):
            if piece.n not in sizes:
                model.schedule(piece.n)
                event(model, piece.n, [0], recipe.seed, piece.data)
                sizes.add(piece.n)
        if not sizes:
            raise DataError(Path("the held-out data"), f"has no event of {n} elements; choose another {option}")


@dataclass(frozen=True)
class Run:
    """A training run.

    Args:
        chosen: the model.
        recipe: settings of the training.
        data: the data, divided.
        folder: folder of the checkpoint, the state and the curve.
        command: the command that repeats it.
        teacher: specification of the teacher, for a distilled model.
    """

    chosen: Chosen
    recipe: Recipe
    data: Divided
    folder: Path
    command: str
    teacher: str | None = None

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.folder / MODEL

    def stated(self, quality: Stated, at: Trained | Progress) -> Checkpoint:
        """Return what the checkpoint says of the weights."""
        config = {key: value for key, value in self.chosen.config.items() if key != "seed"}
        return Checkpoint(
            model=self.chosen.spec.removesuffix(f":{self.chosen.preset}"),
            preset=self.chosen.preset,
            config=msgspec.to_builtins(config),
            data=Data(self.data.name, self.data.sha256),
            quality=quality,
            recipe=json.loads(json.dumps(vars(self.recipe))),
            seed=self.recipe.seed,
            steps=at.step,
            seconds=round(at.seconds, 1),
            command=self.command,
            teacher=self.teacher,
        )


def trained(
    run: Run,
    model: Source,
    objective: Objective | None = None,
    *,
    quality: Callable[[Source], Quality] | None = None,
    facts: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Trained, Quality]:
    """Train a model, write its checkpoint, and score the held-out part with it.

    Args:
        run: the run.
        model: the model with its initial weights; it ends with those of the checkpoint.
        objective: what it is trained for; by default the likelihood of the training part.
        quality: quality of the held-out part; by default bits per element.
        facts: more that must be the same when the run is resumed.
        resume: whether to go on where the folder's run stopped.
        report: called after each evaluation.

    Of sentence pairs, the folder's ``translation.json`` says how many translations are exactly the reference.

    Returns:
        How the training went, and the quality of the held-out part.

    Raises:
        TrainError: see ``train``.
        StateFileError: see ``train``; or the checkpoint of the run that is resumed is missing or of other weights.
        arbench.data.DataError: the model cannot be initialised from the first batch; nothing was done.
    """
    r = run.recipe
    objective = objective or Likelihood(run.data.training, run.data.validation, r)
    while_training = objective.unit(model)

    def save(model: Source, progress: Progress) -> None:
        write(model, run.path, run.stated(Stated(progress.quality, while_training, 0, False), progress))

    if resume:
        _require_own(run)
    else:
        try:
            objective.initialise(model)
        except ValueError as error:
            raise DataError(Path("the first batch"), " ".join(str(error).split())) from None
    known = {"model": run.chosen.spec, "data": run.data.sha256, **(facts or {})}
    result = train(model, objective, r, run.folder, save, facts=known, resume=resume, report=report)
    model.eval().requires_grad_(False)
    load(model, run.path)
    found = quality(model) if quality else measured(model, run.data.held_out, r.eval_n or r.n, r.prefix, seed=r.seed)
    write(model, run.path, run.stated(Stated(found.bits, model.unit, found.elements, True), result))
    if isinstance(run.data.held_out, Sentences) and pairs_of(model) is not None:
        exact = exact_match(model, run.data.held_out, r.eval_n or r.n)
        write_text(run.folder / TRANSLATION, json.dumps({k: v.plain() for k, v in exact.items()}, indent=2) + "\n")
    lines = [{"part": part, "bits": bits, "elements": count} for part, (bits, count) in sorted(found.parts.items())]
    write_text(run.folder / HELD_OUT, "".join(json.dumps(line) + "\n" for line in lines))
    return result, found


def _require_own(run: Run) -> None:
    """Raise StateFileError if the checkpoint in the folder of a run is not that of the run."""
    try:
        said = read(run.path)
    except WeightsError as error:
        raise StateFileError(f"{error}; start another run") from None
    other = differences(run.chosen.cls, run.chosen.config, said)
    if other:
        key, (has, wants) = next(iter(other.items()))
        raise StateFileError(f"{run.path}: the run has {key} {has}, and the model now {wants}; start another run")
    if said.data.sha256 != run.data.sha256:
        raise StateFileError(f"{run.path}: the run has data {said.data.name}, not {run.data.name}; start another run")


def translations(run: Run) -> dict[str, Exact]:
    """Return how many translations of the held-out part are exact, by decoding; none for other data."""
    path = run.folder / TRANSLATION
    if not isinstance(run.data.held_out, Sentences) or not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: Exact.of(one) for name, one in found.items()}

"""A training run from a model's name to its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from arbench.border.whole import write_text
from arbench.data import DataError
from arbench.models import Chosen, Source
from arbench.models.events.sentences import Sentences
from arbench.models.weights import Checkpoint, Data, Decoded, WeightsError, differences, load, read, write
from arbench.models.weights import Quality as Stated
from arbench.train.likelihood import Likelihood
from arbench.train.loop import Objective, Progress, Trained, train
from arbench.train.parts import Divided, scored
from arbench.train.quality import Quality
from arbench.train.recipe import Recipe
from arbench.train.state import StateFileError
from arbench.train.translation import Decoding, exact_match, pairs_of

MODEL, HELD_OUT, TRANSLATION = "model.safetensors", "held_out.jsonl", "translation.json"


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

    def stated(self, quality: Stated, at: Trained | Progress, context: int | None = None) -> Checkpoint:
        """Return what the checkpoint says of the weights.

        Args:
            quality: their quality.
            at: how far the training is, or was.
            context: elements of context of a window when the held-out part was scored; None before that.
        """
        config = {key: value for key, value in self.chosen.config.items() if key != "seed"}
        return Checkpoint(
            model=self.chosen.spec.removesuffix(f":{self.chosen.preset}"),
            preset=self.chosen.preset,
            config=msgspec.to_builtins(config),
            data=Data(self.data.name, self.data.sha256),
            quality=quality,
            recipe=json.loads(json.dumps({**vars(self.recipe), "held_out_prefix": context})),
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
    receptive_field: int | None = None,
    ways: Mapping[str, Decoding] | None = None,
    facts: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Trained, Quality]:
    """Train a model, write its checkpoint, and score the held-out part with it.

    Args:
        run: the run.
        model: the model with its initial weights; it ends with those of the checkpoint.
        objective: what it is trained for; by default the likelihood of the training part.
        receptive_field: number of elements that context of the held-out part is kept for; None for the model's own.
        ways: decodings of sentence pairs by name; by default those of the model alone. What takes as long as a draw
            comes first.
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
    r, data = run.recipe, run.data
    objective = objective or Likelihood(data.training, data.validation, r)
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
    known = {"model": run.chosen.spec, "data": data.sha256, **(facts or {})}
    result = train(model, objective, r, run.folder, save, facts=known, resume=resume, report=report)
    model.eval().requires_grad_(False)
    load(model, run.path)
    said = read(run.path)
    if said.steps != result.step:
        # a process that was killed after its checkpoint and before its state, whose arithmetic is not repeatable
        result = replace(result, bits=said.quality.bits, step=said.steps)
    looks_back = model.receptive_field if receptive_field is None else receptive_field
    found = scored(model, data, r, looks_back)
    if isinstance(data.held_out, Sentences) and pairs_of(model) is not None:
        found = replace(found, translations=exact_match(model, data.held_out, r.eval_n or r.n, ways))
    write(model, run.path, run.stated(stated(found, model), result, r.at_the_end(looks_back)[1]))
    if found.translations:
        exact = {name: one.plain() for name, one in found.translations.items()}
        write_text(run.folder / TRANSLATION, json.dumps(exact, indent=2) + "\n")
    lines = [{"part": part, "bits": bits, "elements": count} for part, (bits, count) in sorted(found.parts.items())]
    write_text(run.folder / HELD_OUT, "".join(json.dumps(line) + "\n" for line in lines))
    return result, found


def stated(found: Quality, model: Source) -> Stated:
    """Return the quality of the held-out part as a checkpoint states it."""
    exact = tuple(Decoded(name, one.pairs, one.equal) for name, one in found.translations.items())
    return Stated(found.bits, model.unit, found.elements, True, exact)


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

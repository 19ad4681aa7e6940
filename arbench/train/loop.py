"""The training loop: Adam, a learning rate that rises and falls, clipped gradients, a moving average of weights."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from arbench.border.whole import write_text
from arbench.models import Source
from arbench.train import state
from arbench.train.quality import Quality
from arbench.train.recipe import Recipe

STATE, CURVE = "state.safetensors", "curve.jsonl"


class TrainError(Exception):
    """Training that cannot go on; the message is one line for the user."""


class Objective(Protocol):
    """Goal of training: a loss and a quality."""

    def initialise(self, model: Source) -> None:
        """Set the initial weights that depend on the data, if any."""

    def loss(self, model: Source, step: int) -> Tensor:
        """Return the loss of the batch of a step, in bits per element."""

    def quality(self, model: Source) -> Quality:
        """Return the quality of the model on data that it is not trained on."""

    def unit(self, model: Source) -> str:
        """Return the unit of the quality, and of what it is."""


@dataclass(frozen=True)
class Progress:
    """An evaluation.

    Args:
        step: updates that were made.
        steps: updates of the whole run.
        loss: mean loss of the updates since the last evaluation, in bits per element.
        quality: bits per element of the validation part, with the averaged weights.
        best: whether no evaluation before was better.
        rate: learning rate of the last update.
        seconds: seconds of the run so far, over all its processes.
    """

    step: int
    steps: int
    loss: float
    quality: float
    best: bool
    rate: float
    seconds: float


@dataclass
class Trained:
    """Result of a run: the best validation quality in bits, the updates before it, and the seconds of the run."""

    bits: float
    step: int
    steps: int
    seconds: float
    curve: list[dict[str, Any]] = field(default_factory=list)


def train(
    model: Source,
    objective: Objective,
    recipe: Recipe,
    folder: Path,
    save: Callable[[Source, Progress], None],
    *,
    facts: dict[str, Any] | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train a model; ``save`` keeps the averaged weights of the best evaluation.

    Each evaluation writes ``state.safetensors`` and ``curve.jsonl`` to the folder. An update depends on nothing but
    the state, the step and the seed, so a run that was killed and resumed ends with the same weights, bit for bit,
    wherever the arithmetic is repeatable.

    Args:
        model: the model, with its initial weights; it ends with those of the last update, not averaged.
        objective: its loss and its quality.
        recipe: settings of the run.
        folder: folder for the state and the curve.
        save: called with the model, its weights averaged, after each evaluation that is the best so far.
        facts: what must be the same when a run is resumed, beside the recipe.
        resume: whether to go on where the folder's run stopped.
        report: called after each evaluation.

    Raises:
        TrainError: the loss or the gradient is no number, or the quality is none.
        StateFileError: the run in the folder cannot be resumed.
    """
    model.train().requires_grad_(True)
    average = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    adam = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.decay)
    at = state.At(0, None, 0, 0, 0.0, {"recipe": _plain(recipe), **(facts or {})})
    curve: list[dict[str, Any]] = []
    if resume:
        at = state.read(folder / STATE, model, average, adam, at)
        curve = [line for line in _lines(folder / CURVE) if line["step"] <= at.step]
        if not curve or curve[-1]["step"] != at.step:
            raise state.StateFileError(
                f"{folder / CURVE}: has no line of step {at.step}, where the run stopped; restore it, or begin anew"
            )
    begun, losses = time.monotonic() - at.seconds, []
    while at.step < recipe.steps and not (recipe.patience and at.worse >= recipe.patience):
        losses.append(_update(model, objective, adam, recipe, at.step, folder))
        _blend(average, model, recipe.averaging(at.step) if recipe.average else 0.0)
        at.step += 1
        if at.step % recipe.every and at.step < recipe.steps:
            continue
        with _averaged(model, average):
            found = objective.quality(model)
            bits = found.bits
            if not math.isfinite(bits):
                raise TrainError(_lost("validation quality", bits, at.step, folder))
            best = at.best is None or bits < at.best
            at.seconds = time.monotonic() - begun
            mean = sum(losses) / len(losses)
            progress = Progress(at.step, recipe.steps, mean, bits, best, recipe.rate(at.step - 1), at.seconds)
            if best:
                at.best, at.best_step, at.worse = bits, at.step, 0
                save(model, progress)
            else:
                at.worse += 1
        model.train()
        line = {"step": at.step, "loss": mean, "quality": bits, "rate": progress.rate, "seconds": at.seconds}
        curve.append({**line, **found.figures})
        write_text(folder / CURVE, "".join(json.dumps(line) + "\n" for line in curve))
        state.write(folder / STATE, model, average, adam, at)
        losses = []
        report(progress)
    if at.best is None:
        raise TrainError(f"{folder}: the run ended before its first evaluation; start another one")
    return Trained(at.best, at.best_step, at.step, at.seconds, curve)


def _update(
    model: Source, objective: Objective, adam: torch.optim.Optimizer, recipe: Recipe, step: int, folder: Path
) -> float:
    torch.manual_seed((recipe.seed * 1_000_003 + step) % 2**63)
    for group in adam.param_groups:
        group["lr"] = recipe.rate(step)
    adam.zero_grad(set_to_none=True)
    loss = objective.loss(model, step)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    for what, value in (("loss", loss.item()), ("norm of the gradient", norm.item())):
        if not math.isfinite(value):
            raise TrainError(_lost(what, value, step + 1, folder))
    adam.step()
    return loss.item()


def _lost(what: str, value: float, step: int, folder: Path) -> str:
    kept = f"the checkpoint in {folder} is that of the best evaluation before" if (folder / STATE).exists() else ""
    return f"the {what} is {value} at step {step}; lower --lr or --clip{f' ({kept})' if kept else ''}"


@torch.no_grad()
def _blend(average: dict[str, Tensor], model: Source, decay: float) -> None:
    for name, weight in model.named_parameters():
        average[name].lerp_(weight.detach(), 1 - decay)


@contextmanager
def _averaged(model: Source, average: dict[str, Tensor]) -> Iterator[None]:
    """Give the model its averaged weights for a while."""
    raw = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    _load(model, average)
    try:
        yield
    finally:
        _load(model, raw)


@torch.no_grad()
def _load(model: Source, weights: dict[str, Tensor]) -> None:
    for name, weight in model.named_parameters():
        weight.copy_(weights[name])


def _plain(recipe: Recipe) -> dict[str, Any]:
    return json.loads(json.dumps(vars(recipe)))


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []

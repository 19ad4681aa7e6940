"""The state of a training run: everything that the next update depends on, as one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from arbench.border.whole import write_bytes
from arbench.files import require_regular
from arbench.models.weights.files import TRAINING_STATE

_BUFFERS = "buffers"
_ADAM = ("step", "exp_avg", "exp_avg_sq")


class StateFileError(Exception):
    """Unusable state of a training run; the message is one line for the user."""


@dataclass
class At:
    """How far a run has come.

    Args:
        step: updates that were made.
        best: quality of the best evaluation, in bits; None before the first.
        best_step: updates before the best evaluation.
        worse: evaluations since the best.
        seconds: seconds that the run took so far, over all its processes.
        facts: what must be the same when the run goes on: the recipe, the model, the data.
    """

    step: int
    best: float | None
    best_step: int
    worse: int
    seconds: float
    facts: dict[str, Any]


def write(path: Path, model: nn.Module, average: dict[str, Tensor], adam: torch.optim.Optimizer, at: At) -> None:
    """Write the state of a run, completely or not at all."""
    tensors = {}
    for name, weight in model.named_parameters():
        tensors[f"weights/{name}"] = weight.detach()
        tensors[f"average/{name}"] = average[name]
        for key, value in adam.state.get(weight, {}).items():  # nothing of a weight that had no gradient yet
            tensors[f"{key}/{name}"] = value
    tensors |= {f"{_BUFFERS}/{name}": value.detach().clone() for name, value in _buffers(model).items()}
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(whole, metadata={TRAINING_STATE: json.dumps(asdict(at), sort_keys=True)}))


def read(path: Path, model: nn.Module, average: dict[str, Tensor], adam: torch.optim.Optimizer, at: At) -> At:
    """Read the state of a run into a model, its average and its optimiser, and return how far it had come.

    Args:
        path: the file.
        model: receives the weights.
        average: receives the moving average.
        adam: receives the moments.
        at: the facts of the run that goes on.

    Raises:
        StateFileError: the file is no state, or that of another run.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            known = json.loads((file.metadata() or {})[TRAINING_STATE])
            found = replace(at, **{**known, "facts": known["facts"]})
            _require_same(path, known["facts"], json.loads(json.dumps(at.facts)))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        with torch.no_grad():
            for name, weight in model.named_parameters():
                stored = tensors[f"weights/{name}"]
                _require_alike(path, name, stored, weight)
                weight.copy_(stored)
                average[name].copy_(tensors[f"average/{name}"])
                moments = {key: tensors[f"{key}/{name}"].clone() for key in _ADAM if f"{key}/{name}" in tensors}
                if moments:
                    adam.state[weight] = {"step": torch.tensor(float(found.step)), **moments}
            for name, buffer in _buffers(model).items():
                if (stored := tensors.get(f"{_BUFFERS}/{name}")) is not None:  # older files have none
                    _require_alike(path, name, stored, buffer)
                    buffer.copy_(stored)
    except (OSError, SafetensorError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise StateFileError(f"{path}: not the state of a training run ({why}); start another run") from None
    return found


def _buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return what a model keeps beside its weights, such as the running mean of a batch normalisation."""
    weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    kept = model.state_dict(keep_vars=True).items()
    return {name: value for name, value in kept if name not in weights and isinstance(value, Tensor)}


def _require_same(path: Path, known: dict[str, Any], wanted: dict[str, Any], of: str = "") -> None:
    for key in wanted | known:  # in the order of a recipe: what follows from the steps comes after them
        has, wants = known.get(key), wanted.get(key)
        if isinstance(has, dict) and isinstance(wants, dict):
            _require_same(path, has, wants, f"{of}{key} ")
        elif has != wants:
            raise StateFileError(_OTHER.format(path=path, what=f"{of}{key}", has=has, wants=wants))


def _require_alike(path: Path, name: str, stored: Tensor, weight: Tensor) -> None:
    if stored.dtype != weight.dtype:
        kinds = [str(one.dtype).removeprefix("torch.") for one in (stored, weight)]
        raise StateFileError(_OTHER.format(path=path, what="dtype", has=kinds[0], wants=kinds[1]))
    if stored.shape != weight.shape:
        shapes = [tuple(one.shape) for one in (stored, weight)]
        raise StateFileError(_OTHER.format(path=path, what=f"'{name}' of shape", has=shapes[0], wants=shapes[1]))


_OTHER = (
    "{path}: the run has {what} {has}, not {wants}; resume with the options that it was started with, or choose "
    "another --out"
)

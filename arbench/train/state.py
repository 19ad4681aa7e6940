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

_KEY = "arbench.training"
_MOMENTS = ("exp_avg", "exp_avg_sq")


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
        for moment in _MOMENTS:
            tensors[f"{moment}/{name}"] = adam.state[weight][moment]
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(whole, metadata={_KEY: json.dumps(asdict(at), sort_keys=True)}))


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
            known = json.loads((file.metadata() or {})[_KEY])
            found = replace(at, **{**known, "facts": known["facts"]})
            _require_same(path, known["facts"], json.loads(json.dumps(at.facts)))
            with torch.no_grad():
                for name, weight in model.named_parameters():
                    weight.copy_(file.get_tensor(f"weights/{name}"))
                    average[name].copy_(file.get_tensor(f"average/{name}"))
                    moments = {moment: file.get_tensor(f"{moment}/{name}").clone() for moment in _MOMENTS}
                    adam.state[weight] = {"step": torch.tensor(float(found.step)), **moments}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise StateFileError(f"{path}: not the state of a training run ({why}); start another run") from None
    return found


def _require_same(path: Path, known: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key in sorted(known.keys() | wanted.keys()):
        if known.get(key) != wanted.get(key):
            raise StateFileError(
                f"{path}: the run has {key} {known.get(key)}, not {wanted.get(key)}; resume with the options that "
                "it was started with, or choose another --out"
            )

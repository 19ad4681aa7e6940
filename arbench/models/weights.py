"""Weights as safetensors files, loaded only into the model that they belong to."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arbench.files import require_regular
from arbench.models.base import Source


class WeightsError(Exception):
    """Unusable weights file; the message is one line for the user."""


def save(model: Source, path: Path) -> None:
    """Write the model's weights to a safetensors file, in their own dtype."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, metadata={"arbench.class": type(model).__name__})


def load(model: Source, path: Path, dtype: torch.dtype | None = None) -> None:
    """Read weights saved by ``save`` into ``model``, converted to the model's dtype.

    Args:
        model: receives the weights; it stays as it was if they are refused.
        path: the safetensors file.
        dtype: dtype that the model will be converted to afterwards; the weights must be finite in it too.

    Raises:
        WeightsError: the file is not a safetensors file, its names or shapes are those of another model, or a weight
            is not finite although the model's own is.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WeightsError(f"weights {path}: not a readable safetensors file ({why})") from None
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | found.keys()):
        have = tuple(found[name].shape) if name in found else "nothing"
        want = tuple(wanted[name].shape) if name in wanted else "nothing"
        if have != want:
            kind = type(model).__name__
            raise WeightsError(
                f"weights {path}: saved from another model or preset: '{name}' is {have}, this {kind} has {want}"
            )
    for name, tensor in found.items():
        for kept in dict.fromkeys((wanted[name].dtype, dtype or wanted[name].dtype)):
            _require_finite(path, name, tensor, wanted[name], kept)
    model.load_state_dict(found)


def _require_finite(path: Path, name: str, tensor: Tensor, own: Tensor, dtype: torch.dtype) -> None:
    """Raise WeightsError if a tensor is not finite in a dtype, except where the model's own is not.

    A model may keep a mask of infinities beside its parameters.
    """
    if not own.is_floating_point():
        return
    bad = ~torch.isfinite(tensor.to(dtype)) & torch.isfinite(own)
    if not bad.any():
        return
    at = tuple(bad.nonzero()[0].tolist())
    value = tensor[at].to(torch.float64).item()
    where = f"weights {path}: tensor '{name}' is {value:g}{f' at {list(at)}' if at else ''}"
    if math.isfinite(value):
        largest = torch.finfo(dtype).max
        short = str(dtype).removeprefix("torch.")
        raise WeightsError(f"{where}, and {short} ends at {largest:.3g}; choose a wider --dtype")
    count = int(bad.sum())
    more = f", and {count - 1:,} more of its {bad.numel():,} numbers are not finite" if count > 1 else ""
    raise WeightsError(f"{where}{more}; save weights that are finite")

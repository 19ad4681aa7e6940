"""Weights as safetensors files, loaded only into the model that they belong to."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from arbench.models.base import Source


class WeightsError(Exception):
    """Unusable weights file; the message is one line for the user."""


def save(model: Source, path: Path) -> None:
    """Write the model's weights to a safetensors file, in their own dtype."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, metadata={"arbench.class": type(model).__name__})


def load(model: Source, path: Path) -> None:
    """Read weights saved by ``save`` into ``model``, converted to the model's dtype.

    Raises:
        WeightsError: the file is not a safetensors file, or its names or shapes are those of another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"weights {path}: not a readable safetensors file ({error})") from None
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | found.keys()):
        have = tuple(found[name].shape) if name in found else "nothing"
        want = tuple(wanted[name].shape) if name in wanted else "nothing"
        if have != want:
            kind = type(model).__name__
            raise WeightsError(
                f"weights {path}: saved from another model or preset: '{name}' is {have}, this {kind} has {want}"
            )
    model.load_state_dict(found)

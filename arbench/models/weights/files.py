"""Weights as safetensors files, loaded only into the model that they belong to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arbench.files import require_regular
from arbench.models.base import Source
from arbench.models.weights.layouts import from_gpt2

CHECKPOINT, TRAINING_STATE = "arbench.checkpoint", "arbench.training"
"""Keys of the metadata of a checkpoint, and of the state of a training run, which is none."""
THE_MODEL = "\0"
"""Place of the model's class in the text of a ``_MismatchError``."""


class WeightsError(Exception):
    """Unusable weights file; the message is one line for the user."""


def save(model: Source, path: Path) -> None:
    """Write the model's weights to a safetensors file, in their own dtype; a weight with several names once."""
    save_file(stored(model), path, metadata={"arbench.class": type(model).__name__})


def stored(model: Source) -> dict[str, Tensor]:
    """Return copies of the model's weights by name, as files hold them: a weight with several names once."""
    state = model.state_dict()
    first = _first_names(state)
    return {name: tensor.clone().contiguous() for name, tensor in state.items() if first[name] == name}


def load(model: Source, path: Path, dtype: torch.dtype | None = None) -> None:
    """Read weights into ``model``, converted to the model's dtype.

    The names are the model's own, or all of them without, or with, one prefix: a file of ``net.state_dict()`` fits a
    model that keeps ``net`` as an attribute. A weight that the model has under several names needs to be there once. A
    file of a GPT-2 of Hugging Face's transformers fits a ``transformer`` of its shape.

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
            owner = _owner(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WeightsError(f"weights {path}: not a readable safetensors file ({why})") from None
    wanted = model.state_dict()
    found = from_gpt2(found) or found
    try:
        found = _named_as(found, wanted)
        _require_shapes(found, wanted)
    except _MismatchError as error:
        what = str(error).replace(THE_MODEL, f"this {type(model).__name__}")
        raise WeightsError(f"weights {path}: saved from another model or preset: {what}{owner}") from None
    for name, tensor in found.items():
        for kept in dict.fromkeys((wanted[name].dtype, dtype or wanted[name].dtype)):
            _require_finite(path, name, tensor, wanted[name], kept)
    model.load_state_dict(found)


def rounded(model: Source, dtype: torch.dtype) -> Source:
    """Round the weights of ``model`` to ``dtype`` in place, without changing their own dtype, and return it."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(tensor.to(dtype))
    return model


class _MismatchError(Exception):
    """Difference between the names or shapes of a file and those of a model, for whose name ``THE_MODEL`` stands."""


def _owner(metadata: Mapping[str, str]) -> str:
    """Return what to do instead with weights that say which model they belong to; "" for others."""
    try:
        said = json.loads(metadata[CHECKPOINT])
        return (
            f"; it is a checkpoint of {said['model']}:{said['preset']}, so name it with --checkpoint, without --model"
        )
    except (KeyError, TypeError, ValueError):
        return "; it is the state that --resume reads" if TRAINING_STATE in metadata else ""


def _first_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Return for each name the first one of the same weight: an embedding may be the output layer too."""
    known: dict[Any, str] = {}
    first = {}
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) if tensor.numel() else name
        first[name] = known.setdefault(place, name)
    return first


def _named_as(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a file's tensors under the names of a model, each under all names that the model has for it."""
    first = _first_names(wanted)

    def fits(names: Iterable[str]) -> bool:
        names = set(names)
        return names <= wanted.keys() and {first[name] for name in names} == set(first.values())

    pairs = [(old, new) for old in _prefixes(found) for new in _prefixes(wanted)]
    renamed: dict[tuple[str, ...], tuple[str, str]] = {}
    for old, new in sorted(pairs, key=lambda pair: sum(map(len, pair))):
        names = tuple(new + name.removeprefix(old) for name in found)
        if fits(names):
            renamed.setdefault(names, (old, new))
    if len(renamed) != 1:
        raise _MismatchError(_difference(found, wanted))
    ((names, (old, new)),) = renamed.items()
    if old and new:
        raise _MismatchError(f"all names match once the prefix '{old}' is '{new}'; rename the file's tensors")
    given: dict[str, Tensor] = {}
    for name, tensor in zip(names, found.values(), strict=True):
        known = given.setdefault(first[name], tensor)
        if known is not tensor and not torch.equal(known, tensor):
            raise _MismatchError(f"'{name}' and '{first[name]}' differ, which are one weight of {THE_MODEL}")
    return {name: given[first[name]] for name in wanted}


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return the prefixes that all names have in common, each up to a dot, the empty one first."""
    folders = zip(*(name.split(".")[:-1] for name in names), strict=False)
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, folders)]
    return ["".join(f"{part}." for part in common[:count]) for count in range(len(common) + 1)]


def _difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Return how the names of a file differ from those of a model."""
    both = found.keys() & wanted.keys()
    if both or not found or not wanted:
        differing = sorted(found.keys() ^ wanted.keys())
        more = f"; {len(differing) - 1:,} more names differ" if len(differing) > 1 else ""
        return _compared(differing[0], found, wanted) + more
    return (
        f"none of the file's {len(found):,} names matches the model's: the file has '{next(iter(found))}', "
        f"{THE_MODEL} has '{next(iter(wanted))}'; rename the file's tensors"
    )


def _compared(name: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    if name not in wanted:
        return f"the file has '{name}', which {THE_MODEL} lacks"
    if name not in found:
        return f"the file lacks '{name}', which {THE_MODEL} has"
    return f"'{name}' is {tuple(found[name].shape)} in the file and {tuple(wanted[name].shape)} in {THE_MODEL}"


def _require_shapes(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise _MismatchError if a tensor of the same name has another shape."""
    for name in sorted(wanted):
        if found[name].shape != wanted[name].shape:
            raise _MismatchError(_compared(name, found, wanted))


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

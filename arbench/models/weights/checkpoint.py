"""Checkpoints: safetensors files that say which model, preset and data their weights belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from arbench.border.printable import on_one_line
from arbench.border.whole import write_bytes
from arbench.files import require_regular
from arbench.models.base import Source
from arbench.models.weights.files import CHECKPOINT, TRAINING_STATE, WeightsError, stored

SCHEMA = 1
"""Version of the format that is written and read."""
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Data:
    """The data that a model was trained on."""

    name: str
    sha256: _Digest
    """Hexadecimal digest of the data."""


@dataclass(frozen=True)
class Decoded:
    """Translations of sentence pairs that the model was not trained on, beside their references."""

    decoding: str
    """How the translations were found, such as "greedy"."""
    pairs: Annotated[int, msgspec.Meta(ge=1)]
    """Number of pairs."""
    equal: _Count
    """Pairs whose translation is the reference, symbol by symbol."""

    def __post_init__(self) -> None:
        """Raise ValueError if more translations are equal than there are."""
        if self.equal > self.pairs:
            raise ValueError(f"{self.equal} of {self.pairs} translations cannot be exact")


@dataclass(frozen=True)
class Quality:
    """Cost of an element under the trained model, on average; of sentence pairs, exact translations too."""

    bits: float
    unit: str
    """Unit of ``bits``, such as "bits per audio sample"."""
    elements: _Count
    """Number of elements that were scored."""
    held_out: bool
    """True if the model was trained on none of them."""
    translations: tuple[Decoded, ...] = ()
    """By decoding, the one that takes as long as a draw first; empty for other events, and in older files."""


@dataclass(frozen=True)
class Checkpoint:
    """Facts that a checkpoint's file states about its weights."""

    model: str
    """A built-in name, or the place of a user's own model, ``path.py:Class``."""
    preset: str
    """Preset with its settings, such as "nv,local=0"."""
    config: Mapping[str, Any]
    """The model's whole configuration, without its seed."""
    data: Data
    quality: Quality | None
    """None where it is not known, as of weights that other packages save."""
    recipe: Mapping[str, Any]
    """Settings of the training."""
    seed: int
    steps: _Count
    """Steps of the optimiser up to these weights."""
    seconds: float
    """Seconds of training."""
    command: str
    """Command that repeats the training."""
    teacher: str | None = None
    """Specification of the teacher that the model was distilled from."""


def write(model: Source, path: Path, checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> None:
    """Write the model's weights and what they are to a safetensors file, completely or not at all.

    Args:
        model: the trained model.
        path: the file; one that exists is replaced.
        checkpoint: what the file says of the weights.
        dtype: dtype of the floating parameters on disk, such as ``torch.float16``; None for their own. Buffers keep
            theirs.

    Raises:
        WeightsError: a weight is not finite in that dtype, or the checkpoint has a value that JSON has not.
        OSError: the file cannot be written; one that exists is unchanged.
    """
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tensors = {name: _as(dtype, tensor) if name in parameters else tensor for name, tensor in stored(model).items()}
    for name in parameters & tensors.keys():
        if not torch.isfinite(tensors[name]).all():
            kind = str(tensors[name].dtype).removeprefix("torch.")
            raise WeightsError(f"checkpoint {path}: the weight '{name}' is not finite in {kind}")
    write_bytes(path, serialised(tensors, checkpoint, f"checkpoint {path}"))


def serialised(tensors: Mapping[str, Tensor], checkpoint: Checkpoint, name: str) -> bytes:
    """Return the content of a checkpoint's file; the same weights and facts give the same bytes.

    Args:
        tensors: the weights, by their names in the model.
        checkpoint: what the file says of them.
        name: what an error calls it.

    Raises:
        WeightsError: the checkpoint has a value that JSON has not.
    """
    try:
        said = msgspec.json.encode({"schema": SCHEMA, **{k: getattr(checkpoint, k) for k in _FIELDS}})
        _decoded(said)
    except _UNFIT as error:
        raise WeightsError(f"{name}: {on_one_line(str(error))}; a checkpoint holds JSON values") from None
    metadata = {CHECKPOINT: said.decode()}  # one entry: of several, the order in the file is random
    return safetensors.torch.save(dict(tensors), metadata=metadata)


def read(path: Path) -> Checkpoint:
    """Read what a checkpoint's file says of its weights, without the weights.

    Raises:
        WeightsError: the file is not a safetensors file, not a checkpoint, or of another version of the format.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WeightsError(f"checkpoint {path}: not a readable safetensors file ({why})") from None
    if TRAINING_STATE in metadata:
        raise WeightsError(
            f"checkpoint {path}: is what --resume reads; name model.safetensors beside it, or the folder"
        )
    if CHECKPOINT not in metadata:
        raise WeightsError(
            f"checkpoint {path}: weights that do not say which model they belong to; use --model with --weights"
        )
    try:
        return _decoded(metadata[CHECKPOINT].encode(errors="surrogatepass"))
    except _UNFIT as error:
        raise WeightsError(f"checkpoint {path}: {on_one_line(str(error))}; train it again") from None


_FIELDS = tuple(Checkpoint.__dataclass_fields__)
_UNFIT = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)
"""Exceptions of JSON that is no checkpoint, and of values that are not JSON."""


@dataclass(frozen=True)
class _Version:
    schema: int


def _decoded(text: bytes) -> Checkpoint:
    """Parse the metadata. Raise one of ``_UNFIT`` if it is not JSON, of another version, or of wrong types."""
    version = msgspec.json.decode(text, type=_Version).schema
    if version != SCHEMA:
        raise ValueError(f"its format has version {version}, and this arbench reads version {SCHEMA}")
    return msgspec.json.decode(text, type=Checkpoint)


def _as(dtype: torch.dtype | None, tensor: Tensor) -> Tensor:
    return tensor if dtype is None or not tensor.is_floating_point() else tensor.to(dtype)

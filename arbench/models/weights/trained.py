"""Trained weights as a model's specification names them: by a name that ships, or by the path of a checkpoint."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from arbench.border.naming import file_name, is_file, split_spec
from arbench.border.suggest import did_you_mean
from arbench.data import checkpoints
from arbench.models.weights import gpt2, packages
from arbench.models.weights.checkpoint import Checkpoint, read
from arbench.models.weights.files import WeightsError

MODEL, DRAFT = "model.safetensors", "draft.safetensors"
"""Checkpoints in the folder of a training run: of the model, and of the draft that guesses for it."""


class NoWeightsError(WeightsError):
    """Trained weights that do not ship, as opposed to broken ones."""


@dataclass(frozen=True)
class Trained:
    """A checkpoint that was found.

    Attributes:
        path: its file.
        name: what results call it: the name of one that ships; for others that of their file, or of its folder, and
            the first eight digits of ``sha256``.
        said: what the file says of its weights.
        sha256: hexadecimal digest of the file.
    """

    path: Path
    name: str
    said: Checkpoint
    sha256: str


def candidates(name: str, cls: type, weights: str) -> list[Trained]:
    """Return the trained weights of a model that a name or path may mean, at least one.

    Args:
        name: the model's name.
        cls: its class.
        weights: a name that ships, or the path of a checkpoint or of the folder of a training run.

    Raises:
        NoWeightsError: none of this name ship.
        WeightsError: there is no checkpoint at the path, or it is of another model.
    """
    if is_file(weights):
        found = _at(weights)
        if not _is_of(found.said, name, cls):
            said = found.said.model
            raise WeightsError(f"checkpoint {weights} is of the model {said}, not of {name}; type {said}@{weights}")
        return [found]
    if (brought := packages.converted(name, weights)) is not None:
        return [_opened(brought)]
    known = shipped(name)
    kept = [one for one in known if one.name == weights]
    if not kept:
        close = did_you_mean(weights, dict.fromkeys(one.name for one in known))
        near = f"{close} " if close.startswith("did") else ""
        others = [f"{name}@{one} of a package" for one in packages.PACKAGES.get(name, {})]
        listed = ", ".join([*(f"{name}:{one.said.preset}@{one.name}" for one in known), *others]) or "none"
        path = f"for the path type {name}@./{weights}" if Path(weights).exists() else "a path has a '/'"
        raise NoWeightsError(f"no trained weights '{weights}' of {name} ship; {near}available: {listed} ({path})")
    return kept


def spec_of(given: str) -> str:
    """Return the specification of the model, preset and weights at a path, as ``candidates`` takes it.

    Raises:
        WeightsError: there is no checkpoint.
    """
    said = _at(given).said
    return f"{said.model}:{said.preset}@{given if is_file(given) else f'./{given}'}"


def _at(given: str) -> Trained:
    """Return the checkpoint at a path, which names the file or the folder of a training run. Raises WeightsError."""
    path = Path(given)
    if path.is_dir():
        foreign = gpt2.is_gpt2(path)
        path /= MODEL
    else:
        foreign = path.name == MODEL and gpt2.is_gpt2(path.parent)
    if not path.exists():
        raise WeightsError(f"checkpoint {given}: {_missing(path, Path(given).is_dir())}")
    if foreign:
        digest = _digest(path)
        name = file_name(path.resolve().parent.name, (), "gpt2")
        return Trained(path, f"{name}-{digest[:8]}", gpt2.described(path.parent, digest), digest)
    found = _opened(path)
    stem = path.resolve().parent.name if path.name == MODEL else path.stem
    plain = re.sub(r"[^\w.-]+", "-", stem) or "checkpoint"
    return replace(found, name=f"{plain}-{found.sha256[:8]}")


def _missing(path: Path, folder: bool) -> str:
    """Return why there is no checkpoint at a path, of a folder that was named or of a file, and what to name."""
    if not folder:
        model = split_spec(str(path))[0]
        known = [] if "/" in model else shipped(model)
        ship = ", ".join(f"{model}:{one.said.preset}@{one.name}" for one in known)
        also = f"; --model and --teacher take weights that ship: {ship}" if ship else ""
        return f"does not exist; name the folder of a training run, or its {MODEL}{also}"
    runs = sorted(str(one.parent) for one in path.parent.glob(f"*/{MODEL}"))
    such = f", such as {runs[0]}" if runs else "; arbench train --out FOLDER writes one"
    return f"has no {MODEL}; name the folder of a training run{such}"


def shipped(model: str) -> list[Trained]:
    """Return the trained weights of a built-in model that ship. Raises WeightsError if a file is damaged."""
    return [_opened(file) for file in checkpoints.shipped(model)]


def draft_for(one: Trained, fits: Callable[[Checkpoint], bool]) -> Trained | None:
    """Return the checkpoint of the draft that guesses for trained weights.

    It is one that ships or, for weights of the user's own, the file ``draft.safetensors`` beside theirs; it was trained
    on the same data.

    Args:
        one: the trained weights.
        fits: whether a checkpoint has the configuration of the draft.

    Raises:
        WeightsError: a file is no checkpoint.
    """
    if one.path.parent == checkpoints.FOLDER:
        known = shipped(one.said.model)
    else:
        file = one.path.with_name(DRAFT)
        known = [_opened(file)] if file.exists() else []
    return next((other for other in known if other.said.data == one.said.data and fits(other.said)), None)


def differences(cls: type, config: Mapping[str, Any], said: Checkpoint) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which a checkpoint differs from a configuration of its model.

    Settings that are not given count as the defaults of the constructor.

    Returns:
        by name, the value in the checkpoint and the one of the configuration; ``msgspec.UNSET`` where it is missing.
    """
    has, wants = _whole(cls, said.config), _whole(cls, config)
    pairs = {key: (has.get(key, msgspec.UNSET), wants.get(key, msgspec.UNSET)) for key in {**wants, **has}}
    return {key: (one, other) for key, (one, other) in pairs.items() if one != other}


def in_words(found: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the first of the ``differences`` in words."""
    key, values = next(iter(found.items()))
    has, wants = ("missing" if one is msgspec.UNSET else msgspec.json.encode(one).decode() for one in values)
    return f"{key} is {has} in the checkpoint and {wants} in the preset"


def _is_of(said: Checkpoint, name: str, cls: type) -> bool:
    """Return whether a checkpoint is of a model: of the same name, or of a user's class that is called the same."""
    _, own, attribute = said.model.rpartition(":")
    return said.model == name or bool(own and attribute == cls.__name__)


def _opened(path: Path) -> Trained:
    said = read(path)
    return Trained(path, checkpoints.name_of(path), said, _digest(path))


def _digest(path: Path) -> str:
    try:
        state = path.stat()
        return _sha256(path.resolve(), state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"checkpoint {path}: {error.strerror}") from None


@lru_cache(maxsize=16)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Return the digest of a file that has not changed since."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the constructor's defaults, as JSON would hold it."""
    takes = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    defaults = {one.name: one.default for one in takes if one.default is not inspect.Parameter.empty}
    whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode({**defaults, **config}, enc_hook=repr))
    return {key: value for key, value in whole.items() if key != "seed"}

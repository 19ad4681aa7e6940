"""Trained weights that other people's packages bring: converted into checkpoints when they are named."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from arbench.border.whole import write_bytes
from arbench.data import DataError
from arbench.models.events import g2p_en
from arbench.models.weights.checkpoint import Checkpoint, Data, Quality, serialised
from arbench.models.weights.files import WeightsError


def _g2p_en() -> bytes:
    tensors = g2p_en.converted()
    said = Checkpoint(
        model="seq2seq",
        preset="g2p",
        config=g2p_en.CONFIG,
        data=Data("cmudict", hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors.values())).hexdigest()),
        quality=Quality(g2p_en.BITS, "bits per phoneme", g2p_en.ELEMENTS, held_out=False),
        recipe={},
        seed=0,
        steps=0,
        seconds=0.0,
        command=g2p_en.COMMAND,
    )
    return serialised(tensors, said, "g2p_en")


PACKAGES: Mapping[str, Mapping[str, Callable[[], bytes]]] = {"seq2seq": {"g2p_en": _g2p_en}}
"""By model and name, a function that returns the content of a checkpoint.

The digest of the data is that of the weights: what a package was trained on is known by name alone.
"""


def converted(model: str, name: str) -> Path | None:
    """Return the checkpoint of weights that a package brings, in the user's cache; None if none has this name.

    Raises:
        WeightsError: the package is not installed, or its file is not the expected one.
    """
    make = PACKAGES.get(model, {}).get(name)
    if make is None:
        return None
    try:
        content = make()
    except DataError as error:
        raise WeightsError(str(error)) from None
    file = f"{model}-{name}.safetensors"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(cache) / "arbench" / file
    try:
        if not path.exists() or path.read_bytes() != content:
            write_bytes(path, content)
    except OSError:  # nowhere to keep it: the file of this process alone
        path = Path(tempfile.mkdtemp(prefix="arbench-")) / file
        write_bytes(path, content)
    return path

"""Data that have a name: what ``--data NAME`` means beside a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from arbench.data.errors import DataError
from arbench.data.optional.mnist import mnist
from arbench.data.optional.numbers import number_pairs
from arbench.data.optional.phonemes import phonemes

What = Literal["sentence pairs", "images", "text", "audio"]

NAMED: Mapping[str, tuple[What, Callable[[], Any]]] = {
    "numbers": ("sentence pairs", number_pairs),
    "phonemes": ("sentence pairs", phonemes),
    "mnist": ("images", lambda: [image[..., None] for image in mnist()]),
}
"""Kind of the data and what reads them, by name, in the form that ``load_pairs`` and ``load_images`` return."""


def named(name: str, wanted: What) -> Any:
    """Return the data of a name, or None where it is no name but a path.

    A file of the same name has a path that is none: ``./numbers``.

    Args:
        name: what the user typed.
        wanted: kind of the data that the model reads.

    Raises:
        DataError: the data are of another kind, or the package that has them is not installed.
    """
    if name not in NAMED:
        return None
    what, read = NAMED[name]
    if what != wanted:
        raise DataError(Path(name), f"these are {what}; wanted {wanted}, or ./{name} for a file of this name")
    return read()

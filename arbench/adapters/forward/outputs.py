"""The parameters in what a module returns: a tensor, or one of several results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

Part = str | int | None
"""Where the parameters are: an entry or attribute, a place in a tuple, or None for what is returned itself."""
LOGITS = "logits"
"""Name of the entry or attribute that holds parameters, as in the outputs of language models."""


def part_of(returned: Any, shape: Sequence[int]) -> Part:
    """Return where parameters of this shape (B, N, K) are in what ``forward`` returned.

    Raises:
        ValueError: they are nowhere, or in several places; the message says what was returned, and what to return.
    """
    wanted = tuple(shape)
    if isinstance(returned, Tensor):
        if returned.shape != wanted:
            raise ValueError(f"forward returns {_hint(tuple(returned.shape), wanted)}")
        return None
    named = _named(returned)
    if LOGITS in named:
        found = named[LOGITS]
        if not isinstance(found, Tensor) or found.shape != wanted:
            what = _hint(tuple(found.shape), wanted) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"forward returns logits {what}")
        return LOGITS
    if isinstance(returned, tuple | list):
        named = dict(enumerate(returned))
    fitting = [key for key, one in named.items() if isinstance(one, Tensor) and one.shape == wanted]
    if len(fitting) != 1:
        kinds = ", ".join(_kind(one) for one in named.values()) or "nothing in it"
        which = f"{len(fitting)} of which are {wanted}" if fitting else f"none of which is {wanted}"
        raise ValueError(
            f"forward returns {type(returned).__name__} ({kinds}), {which}; return parameters of each element alone, "
            "or an object with logits"
        )
    return fitting[0]


def parameters(returned: Any, part: Part) -> Tensor:
    """Return the parameters in what ``forward`` returned, where ``part_of`` found them before."""
    if part is None:
        found = returned
    elif isinstance(part, int) or isinstance(returned, Mapping):
        found = returned[part]
    else:
        found = getattr(returned, part)
    assert isinstance(found, Tensor)
    return found


def _named(returned: Any) -> dict[Any, Any]:
    """Return the entries of a dictionary, or the attributes of an object that holds results."""
    if isinstance(returned, Mapping):
        return dict(returned)
    if hasattr(returned, "_fields"):  # a named tuple
        return {name: getattr(returned, name) for name in returned._fields}
    return dict(getattr(returned, "__dict__", {}))


def _kind(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def _hint(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return the shape that was returned, the one that is wanted, and what to change."""
    batch, n, width = wanted
    said = f"{found} for events ({batch}, {n}), and the law needs {wanted}"
    if found == (batch, width, n):
        return f"{said}; return transpose(1, 2) of it"
    if len(found) == 3 and found[:2] == (batch, n):
        return f"{said}; choose a law of {found[2]} parameters, such as categorical:{found[2]}"
    return f"{said}; return parameters of each element"

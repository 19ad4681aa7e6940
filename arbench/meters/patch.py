"""Attributes replaced for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Patch = tuple[Any, str, Callable[[Any], Any]]
"""Owner, name of the attribute, and a function from the present value to the one that replaces it."""


@contextmanager
def patched(patches: Iterable[Patch]) -> Iterator[None]:
    """Replace attributes within the context, and put back what the owner itself had."""
    with ExitStack() as undo:
        for owner, name, replace in patches:
            if not hasattr(owner, name):
                continue
            own = vars(owner).get(name)
            setattr(owner, name, replace(own if isinstance(own, property) else getattr(owner, name)))
            if own is None:
                undo.callback(delattr, owner, name)
            else:
                undo.callback(setattr, owner, name, own)
        yield

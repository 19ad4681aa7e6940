"""Copies of a model's state, whatever it is built of."""

from __future__ import annotations

from collections import deque
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from torch import Tensor

T = TypeVar("T")


def copied(state: T) -> T:
    """A copy that shares no tensor which stepping may write to.

    Tensors are cloned; lists, tuples, deques, dictionaries and dataclasses are rebuilt; all else is shared,
    and so are a dataclass's fields declared with ``field(metadata={"constant": True})``: weights made ready,
    encoded context. What has a method ``copied`` is asked for its own. Tensors that were views of one storage
    become storages of their own.
    """
    return cast(T, _copied(state))


def _copied(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.clone()
    if hasattr(state, "copied"):
        return state.copied()
    if isinstance(state, list | deque):
        return type(state)(map(_copied, state))
    if isinstance(state, tuple):
        parts = [_copied(part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    if isinstance(state, dict):
        return {key: _copied(part) for key, part in state.items()}
    if is_dataclass(state) and not isinstance(state, type):
        moving = [f.name for f in fields(state) if f.init and not f.metadata.get("constant")]
        return replace(state, **{name: _copied(getattr(state, name)) for name in moving})
    return state

"""Copies of a model's state, whatever it is built of."""

from __future__ import annotations

from collections import deque
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


def copied(state: T) -> T:
    """A copy that shares no tensor which stepping may write to.

    Tensors are cloned; lists, tuples, deques, dictionaries and dataclasses are rebuilt; all else is shared,
    and so are a dataclass's fields declared with ``field(metadata={"constant": True})``: weights made ready,
    encoded context. What has a method ``copied`` is asked for its own. Tensors that were views of one storage become storages of their own.
    """
    value: Any = state
    if isinstance(value, Tensor):
        return value.clone()
    if hasattr(value, "copied"):
        return value.copied()  # type: ignore[no-any-return]
    if isinstance(value, list | deque):
        return type(value)(map(copied, value))  # type: ignore[return-value]
    if isinstance(value, tuple):
        parts = [copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        moving = [f.name for f in fields(value) if f.init and not f.metadata.get("constant")]
        return replace(value, **{name: copied(getattr(value, name)) for name in moving})
    return state

"""Copies of a model's state, for methods that guess ahead and take guesses back."""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

T = TypeVar("T")
CONSTANT = (
    *(type(None), bool, int, float, complex, str, bytes, range, slice, type(...), type),
    *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format),
    *(Enum, np.generic, np.dtype, BuiltinFunctionType, CodeType, ModuleType),
)
"""Types whose objects never change, so that copies share them."""
MAPPINGS = (dict, OrderedDict, defaultdict)
SEQUENCES = (list, deque, set)


class StateError(TypeError):
    """Refusal to copy a state, because a copy would share what stepping may change; the message is one line."""


def copied(state: T, model: nn.Module | None = None) -> T:
    """Return a copy of a model's state that shares nothing which stepping may change.

    Tensors and NumPy arrays are cloned; lists, tuples, deques, sets, dictionaries, dataclasses and random generators of
    PyTorch are rebuilt; an object with a method ``copied`` makes its own copy. An object that occurs twice is copied
    once. Shared are numbers, texts and other constants, the model's own modules, and a dataclass's fields declared with
    ``field(metadata={"constant": True})``, such as prepared weights or the encoded context. Tensors that were views of
    one storage become storages of their own.

    Args:
        state: the state.
        model: the model whose modules are shared; without it modules are refused.

    Raises:
        StateError: the state contains an object of any other class; the message names it.
    """
    return cast(T, _Copies(model).of(state))


class _Copies:
    """Copies of the objects of one state, each made once."""

    def __init__(self, model: nn.Module | None) -> None:
        self._model = model
        self._made: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any) -> Any:
        """Return the copy of an object, or the object itself if it never changes."""
        if isinstance(value, CONSTANT):
            return value
        if (known := self._made.get(id(value))) is not None:
            return known[1]
        made = self._copy(value)
        self._made[id(value)] = value, made  # with the original, whose id must not be given to another object
        return made

    def _copy(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, Tensor):
            return value.clone()
        if isinstance(value, nn.Module | FunctionType | MethodType):
            return self._shared(value)
        if callable(getattr(value, "copied", None)):
            return value.copied()
        if isinstance(value, tuple):
            return self._tuple(value)
        if kind is frozenset:
            return frozenset(map(self.of, value))
        if kind in SEQUENCES or kind in MAPPINGS:
            return self._container(value)
        if is_dataclass(value) and not isinstance(value, dict | list | set | deque):
            return self._dataclass(value)
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return value.copy()
        if kind is bytearray:
            return bytearray(value)
        if kind is torch.Generator:
            return torch.Generator(value.device).set_state(value.get_state())
        raise StateError(f"a {kind.__name__}, which cannot be copied")

    def _tuple(self, value: Any) -> Any:
        parts = [self.of(part) for part in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        if type(value) is not tuple:
            raise StateError(f"a {type(value).__name__}, which cannot be copied")
        return tuple(parts)

    def _container(self, value: Any) -> Any:
        """Return a copy with the same factory, length limit and order; it is known before its parts, for cycles."""
        made = copy.copy(value)
        self._made[id(value)] = value, made
        if isinstance(value, dict):
            for key, part in value.items():
                made[key] = self.of(part)
            return made
        parts = [self.of(part) for part in value]
        made.clear()
        (made.update if isinstance(made, set) else made.extend)(parts)
        return made

    def _dataclass(self, value: Any) -> Any:
        made = copy.copy(value)
        self._made[id(value)] = value, made
        constant = {field.name for field in fields(value) if field.metadata.get("constant")}
        for name in _attributes(value):
            if name not in constant:
                object.__setattr__(made, name, self.of(getattr(value, name)))  # also where the dataclass is frozen
        return made

    def _shared(self, value: Any) -> Any:
        """Return a module or function that is the model's own, or that remembers nothing."""
        if isinstance(value, nn.Module):
            if self._model is not None and any(value is module for module in self._model.modules()):
                return value
        elif isinstance(value, MethodType):
            if self._unchanged(value.__self__):
                return value
        elif all(self._unchanged(cell.cell_contents) for cell in value.__closure__ or ()):
            return value
        raise StateError(f"a {type(value).__name__}, which cannot be copied")

    def _unchanged(self, value: Any) -> bool:
        """Return whether copies may share an object."""
        return self.of(value) is value


def _attributes(value: Any) -> Iterator[str]:
    """Yield the names of the attributes that an object has, in its dictionary or in slots."""
    yield from getattr(value, "__dict__", ())
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{kind.__name__.lstrip('_')}{name}"
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield name

"""The package's caches as states of a model: made, read, cut back and copied."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from arbench.adapters.hf.package import transformers

NAMES = ("cache", "past_key_values", "cache_params", "state", "mems")
"""Names of the argument of ``forward`` that takes the past, in the order of the package's versions."""
OBJECTS = NAMES[:3]
"""Those of them that take an object, which ``forward`` changes in place; the others take and return tensors."""
KINDS = ("dynamic", "static")
"""Kinds of cache for the setting ``cache``."""


@dataclass
class State:
    """The past of a model.

    Attributes:
        past: the package's cache, or the tensors that its ``forward`` returned; None before the first call.
        read: number of tokens that it holds.
        prompt: tokens (B, P) that precede the elements; None for none. The first step reads them.
    """

    past: Any
    read: int = 0
    prompt: Tensor | None = None

    def copied(self) -> State:
        """Return a copy that shares nothing which a step may change."""
        return State(copy.deepcopy(self.past), self.read, self.prompt)


def argument(network: nn.Module) -> str | None:
    """Return the name of the argument of ``forward`` that takes the past; None if the architecture has none.

    A class of the user's may name an older one than the class that it is made from, and would not see the newer.
    """
    for known in _parameters(network):
        if (named := next((name for name in NAMES if name in known), None)) is not None:
            return named
    return None


def takes(network: nn.Module, name: str) -> bool:
    """Return whether ``forward`` has an argument of this name."""
    return any(name in known for known in _parameters(network))


def _parameters(network: nn.Module) -> Iterator[Mapping[str, inspect.Parameter]]:
    """Yield the parameters of ``forward``, and those of the classes to which it may pass on whatever it gets."""
    for kind in type(network).__mro__:
        if (forward := vars(kind).get("forward")) is None:
            continue
        known = inspect.signature(forward).parameters
        yield known
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
            return


def begun(network: Any, name: str, kind: str, n: int) -> Any:
    """Return an empty cache for ``n`` tokens; None where ``forward`` makes the first one itself."""
    if name not in OBJECTS or not network._supports_default_dynamic_cache():
        return None
    config = network.config.get_text_config(decoder=True)
    package = transformers()
    if kind == "static":
        return package.StaticCache(config=config, max_cache_len=n)
    return package.DynamicCache(config=config)


def can_crop(past: Any) -> bool:
    """Return whether a cache that has been used can be cut back by ``crop``, as it was.

    A layer with a window forgets what lies before it, and a recurrent one has only its last state.
    """
    layers = getattr(past, "layers", None)
    if not layers or not callable(getattr(past, "crop", None)):
        return False
    package = transformers().cache_utils
    plain = tuple(getattr(package, name) for name in ("DynamicLayer", "StaticLayer") if hasattr(package, name))
    return all(type(one) in plain and callable(getattr(one, "crop", None)) for one in layers)


def is_recurrent(past: Any) -> bool:
    """Return whether a new cache has recurrent layers, or is not one of the package's ``Cache``, as theirs once was."""
    layers = getattr(past, "layers", None)
    if not layers:
        return True
    return any(hasattr(one, "recurrent_states") for one in layers)

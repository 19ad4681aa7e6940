"""Dispatch of the objects that users name or pass as models to the way that takes them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from arbench.models import ModelError, Source
from arbench.own.raised import one_line

KINDS = ("arbench.adapters.hf:adapted", "arbench.adapters.flows:adapted", "arbench.adapters.forward:adapted")
"""Functions that are tried in turn, ``package:function``. Each gets what ``adapted`` gets, with ``like``, a class or an
object of what ``found`` makes, or None where that is not known; and returns a class, or None for what it does not take.
"""
TAKEN = "name a subclass, an nn.Module with a law, as in --law categorical:256, or a function that returns a module"
"""Advice on what would be taken."""


def adapted(found: Any, name: str, law: str | None, settings: Mapping[str, Any] = MappingProxyType({})) -> type[Source]:
    """Return a class of models of an object of the user's that is no ``Source``.

    Args:
        found: a subclass or an object of ``nn.Module``, or a function that returns one.
        name: what the user calls the model, for messages.
        law: the law of an element that the user gave, as ``arbench.distributions.law_of`` takes it; None for none.
        settings: the user's other settings: arguments of the class or function.

    Returns:
        The class; ``law`` and the settings are arguments of its constructor.

    Raises:
        ModelError: nothing takes the object; the message says what would be taken.
    """
    called = getattr(found, "__name__", None) or (
        type(found).__name__ if isinstance(found, nn.Module) else f"{found!r:.40}"
    )
    like = found if _is_module(found) else None
    if inspect.isclass(found) and like is None:
        raise ModelError(f"model '{name}': {called} is not a subclass of arbench.models.Source; {TAKEN}")
    what = ""
    if like is None and callable(found) and law is None:
        like = _returned(found, name, called, settings)
        what = f" and returns {like!r:.40}"
    for place in KINDS:
        module, _, function = place.partition(":")
        taken: type[Source] | None = getattr(importlib.import_module(module), function)(found, like, name, law)
        if taken is not None:
            return taken
    if _is_module(like):
        kind = "an nn.Module" if like is found else "a function that returns an nn.Module"
        raise ModelError(
            f"model '{name}': {called} is {kind}, of which only the law of an element is missing; add --law, as in "
            "--law categorical:256 for outputs (B, N, 256) that are logits, or --law normal for means and log-scales"
        )
    raise ModelError(f"model '{name}': {called} is not a subclass of arbench.models.Source{what}; {TAKEN}")


def _is_module(found: Any) -> bool:
    return isinstance(found, nn.Module) or (inspect.isclass(found) and issubclass(found, nn.Module))


def _taken(found: Any, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that a function takes; the others are those of the adapter, or refused by it."""
    try:
        known = inspect.signature(found).parameters
    except (TypeError, ValueError):  # nothing says what it takes
        return settings
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return settings
    return {name: value for name, value in settings.items() if name in known}


def _returned(found: Any, name: str, called: str, settings: Mapping[str, Any]) -> Any:
    """Return what a function returns, to see what it is. Raises ModelError if it fails."""
    try:
        with torch.random.fork_rng(devices=[]):
            return found(**_taken(found, settings))
    except Exception as error:  # the user's code may raise anything
        raise ModelError(
            f"model '{name}': {called} is not a subclass of arbench.models.Source; {TAKEN} (calling {called} failed: "
            f"{one_line(error)})"
        ) from None

"""Classes of models of a user's flows."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from torch import nn

from arbench.models import Source

KINDS = {
    "zuko": ("arbench.adapters.flows.zuko", "Zuko"),
    "nflows": ("arbench.adapters.flows.nflows", "NFlows"),
}
"""Module and class of the models of each package."""
FLOWS = {("zuko", "LazyDistribution"): "zuko", ("nflows", "Flow"): "nflows"}
"""The package that a class with this top module and name belongs to."""


def package_of(like: Any) -> str | None:
    """Return the package that a class or object of modules is a flow of; None for another. Nothing is imported."""
    classes = like.__mro__ if inspect.isclass(like) else type(like).__mro__
    names = ((one.__module__.partition(".")[0], one.__name__) for one in classes)
    return next((FLOWS[name] for name in names if name in FLOWS), None)


def adapted(found: Any, like: Any, name: str, law: str | None) -> type[Source] | None:
    """Return a class of models of a flow, or of what makes one; None for anything else.

    Args:
        found: a flow, a class of flows, or a function that returns one.
        like: what ``found`` makes, where that is known.
        name: what the user calls the model, for messages.
        law: the law of an element; a flow has its own.
    """
    package = None if law is not None or like is None else package_of(like)
    if package is None:
        return None
    place, kind = KINDS[package]
    base: type[Source] = getattr(importlib.import_module(place), kind)  # imports the package, which the flow has done
    about = type(found) if isinstance(found, nn.Module) else found
    own = about.__doc__ if isinstance(about.__doc__, str) else None
    facts: dict[str, Any] = {
        "__doc__": own or f"A flow of {package}.",
        "__module__": getattr(about, "__module__", "__main__"),
        "made": found if inspect.isclass(found) or isinstance(found, nn.Module) else staticmethod(found),
        "presets": {"given": {}},
        "default_preset": "given",
        "citation": "",
    }
    return type(about.__name__, (base,), facts)

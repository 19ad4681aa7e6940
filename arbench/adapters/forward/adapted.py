"""Classes of models of a user's modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from arbench.adapters.forward.built import arguments
from arbench.adapters.forward.model import Forward
from arbench.distributions import law_of
from arbench.models import ModelError, Source


def adapted(found: Any, like: Any, name: str, law: str | None) -> type[Source] | None:
    """Return a class of models of a module, or of what makes one, whose law is named; None for anything else.

    Args:
        found: a subclass of ``nn.Module``, an object of one, or a function that returns such an object.
        like: what ``found`` makes, where that is known.
        name: what the user calls the model, for messages.
        law: the law of an element; None for none.

    Raises:
        ModelError: there is no such law.
    """
    makes = issubclass(found, nn.Module) if inspect.isclass(found) else callable(found)
    if law is None or not makes:
        return None
    try:
        distribution = law_of(str(law))
    except ValueError as error:
        raise ModelError(f"model '{name}': {error}") from None
    about = type(found) if isinstance(found, nn.Module) else found
    own = about.__doc__ if about.__doc__ != nn.Module.__doc__ else None
    facts: dict[str, Any] = {
        "__doc__": own or "A module of which only forward is known.",
        "__module__": getattr(about, "__module__", "__main__"),
        "__init__": _constructor(found),
        "made": found if inspect.isclass(found) or isinstance(found, nn.Module) else staticmethod(found),
        "brings_weights": not inspect.isclass(found),
        "found": [],
        "taken": set(),
        "element": "symbol" if distribution.finite else "number",
    }
    return type(getattr(about, "__name__", type(about).__name__), (Forward,), facts)


def _constructor(found: Any) -> Callable[..., None]:
    """Return a constructor whose signature has the arguments of the module beside the adapter's own."""

    def __init__(self: Forward, **settings: Any) -> None:  # noqa: N807
        Forward.__init__(self, **settings)

    own = [one for one in inspect.signature(Forward.__init__).parameters.values() if one.name != "settings"]
    theirs = [one for one in arguments(found) if one.name not in {known.name for known in own}]
    __init__.__signature__ = inspect.Signature([*own, *theirs])  # type: ignore[attr-defined]
    return __init__

"""Networks of the package that a user passes or whose function a user names, as models."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from typing import Any

from arbench.models import Source


def adapted(found: Any, like: Any, name: str, law: str | None) -> type[Source] | None:
    """Return a class of models of a causal language model of the package; None for anything else.

    Args:
        found: an object of the package's ``PreTrainedModel`` with logits, or a function that returns one.
        like: what ``found`` makes, where that is known.
        name: what the user calls the model, for messages.
        law: the law of an element, where the user names one; the package's models have their own.
    """
    package = sys.modules.get("transformers")  # nobody has such an object without it
    made = found if like is None else like
    if package is None or law is not None or inspect.isclass(made) or not isinstance(made, package.PreTrainedModel):
        return None
    if made.get_output_embeddings() is None:
        return None
    from arbench.adapters.hf.model import CausalLM

    own = made is found
    make: Callable[..., Any] = (lambda: copy.deepcopy(found)) if own else found
    about = type(found) if own else found
    facts: dict[str, Any] = {
        "__doc__": about.__doc__ or CausalLM.__doc__,
        "__module__": getattr(about, "__module__", "__main__"),
        "make": staticmethod(make),
        "presets": {"given": {}},
        "default_preset": "given",
        "brings_weights": own,
    }
    return type(about.__name__, (CausalLM,), facts)

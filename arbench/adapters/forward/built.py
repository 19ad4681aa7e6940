"""Modules as a user makes them, and classes of models of them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from arbench.models import ModelError


def built(made: Any, settings: Mapping[str, Any], seed: int) -> nn.Module:
    """Return a module: a copy of the user's, or a new one with random weights of a seed.

    Args:
        made: a class of modules, a module, or a function that returns one.
        settings: arguments of the class or function.
        seed: seed of all random numbers of PyTorch meanwhile; an argument too, where one is called so.

    Raises:
        ModelError: a module takes no settings, or a function returns none.
    """
    if isinstance(made, nn.Module):
        if settings:
            raise ModelError(f"{min(settings)} is no setting of a module that is built already; leave it out")
        return copy.deepcopy(made)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = made(**settings, **({"seed": seed} if takes_seed(made) else {}))
    if not isinstance(network, nn.Module):
        raise ModelError(f"{made.__name__} returns an object of type {type(network).__name__}; return an nn.Module")
    return network


def takes_seed(made: Any) -> bool:
    """Return whether a class or function has an argument ``seed``."""
    try:
        return "seed" in inspect.signature(made).parameters
    except (TypeError, ValueError):  # a class of C, whose arguments nothing says
        return False


def arguments(made: Any) -> list[inspect.Parameter]:
    """Return the arguments of a class or function that settings may name; one that takes any if nothing says which."""
    if isinstance(made, nn.Module):
        return []
    try:
        known = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return [inspect.Parameter("settings", inspect.Parameter.VAR_KEYWORD)]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in known if one.kind in named]
    return found + [one for one in known if one.kind is inspect.Parameter.VAR_KEYWORD]

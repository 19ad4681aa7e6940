"""Foreign networks, built once for each model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch

from arbench.models import Source

Weights = tuple[tuple[object, ...], ...]


class Prepared:
    """The foreign network of each model, with the model's weights.

    It is built in the first call for a model, and again once the model's weights have changed.

    Args:
        build: builds the network of a model.
    """

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self._build = build
        self._known: WeakKeyDictionary[Source, tuple[Weights, Any]] = WeakKeyDictionary()

    def __call__(self, source: Source) -> Any:
        """Return the network of a model."""
        weights = tuple((id(one), one._version, one.dtype, one.device) for one in source.parameters())
        known = self._known.get(source)
        if known is None or known[0] != weights:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old interfaces
                known = weights, self._build(source)
            self._known[source] = known
        return known[1]

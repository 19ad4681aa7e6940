"""Faults to plant in counters: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    GaussianMixture,
    Logistic,
    Normal,
    PixelMixture,
)
from arbench.meters import depth

Patch = pytest.MonkeyPatch
LAWS = (Categorical, DiscretizedLogisticMixture, Logistic, Normal, GaussianMixture, PixelMixture)


def whole_storages(patch: Patch) -> None:
    """Depth is kept by storage, not by region."""

    def write(self: depth.Regions, tensor: Tensor, found: int) -> None:
        known = self._known(tensor.untyped_storage())
        known.depth = max(known.depth, found)

    patch.setattr(depth.Regions, "write", write)
    patch.setattr(depth.Regions, "lift", write)


def work_by_threads(patch: Patch) -> None:
    """The model does one operation more on two threads."""
    for law in LAWS:
        for name in ("draw", "log_prob"):
            right = getattr(law, name)

            def off(self: Any, p: Tensor, z: Tensor, right: Any = right) -> Tensor:
                return right(self, p + 0 if torch.get_num_threads() > 1 else p, z)

            patch.setattr(law, name, off)

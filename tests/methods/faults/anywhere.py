"""Faults to plant in any model or method: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.methods import ahead, base, fixed_point
from arbench.models import Source, parallel_wavenet, pixelcnn, transformer, wavenet
from arbench.models.base import copied
from arbench.models.events import whole_pixels

Patch = pytest.MonkeyPatch
Pixel = pixelcnn.PixelCNN


def rows_mix(patch: Patch) -> None:
    """An event's parameters depend on its neighbours in the batch."""

    def mixed(inner: Any) -> Any:
        def extend(self: Any, state: Any, f: Tensor, g0: int, g1: int) -> Any:
            params, state = inner(self, state, f, g0, g1)
            return params + params.mean(0, keepdim=True), state

        return extend

    for cls in (
        wavenet.WaveNet,
        Pixel,
        parallel_wavenet.ParallelWaveNet,
        transformer.Transformer,
        whole_pixels.WholePixels,
    ):
        patch.setattr(cls, "extend", mixed(cls.extend))


def prompt_not_read(patch: Patch) -> None:
    """Given elements are put in place, but the first is not what the network reads."""
    init = base.Unknown.__init__

    def off(self: base.Unknown, source: Any, task: Any) -> None:
        init(self, source, task)
        self.f[:, :1] = 0

    patch.setattr(base.Unknown, "__init__", off)


def settles_at_once(patch: Patch) -> None:
    """Jacobi iteration stops at its first guess."""
    hasty = SimpleNamespace(where=torch.where, cat=torch.cat, equal=lambda a, b: True)
    patch.setattr(fixed_point, "torch", hasty)


def accepts_all(patch: Patch) -> None:
    """A guess is taken for right whatever came out."""
    patch.setattr(ahead.Window, "settled", lambda self, same, g1: g1 - self.at)


def rewinds_too_little(patch: Patch) -> None:
    """Going back leaves the state where the wrong guess led it."""
    patch.setattr(Source, "rewind", lambda self, state, mark, f, g: state)


def rewinds_too_far(patch: Patch) -> None:
    """Going back leaves the state at the mark."""
    patch.setattr(Source, "rewind", lambda self, state, mark, f, g: copied(mark[1]))


def keeps_all_guesses(patch: Patch) -> None:
    """Rejection sampling never rejects: the draft's law."""
    patch.setattr(ahead.Window, "settled", lambda self, same, g1: g1 - self.at)

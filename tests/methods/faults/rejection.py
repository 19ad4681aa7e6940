"""Faults to plant in rejection sampling: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from arbench.methods import speculative

Patch = pytest.MonkeyPatch


def accepts_wrongly(patch: Patch) -> None:
    """One guess in ten is kept where it should not be, and the other way round."""
    right = speculative.accepts

    def off(law: Any, p: Tensor, q: Tensor, guess: Tensor, u: Tensor) -> Tensor:
        return right(law, p, q, guess, u) ^ (u * 1000 % 1 < 0.1)

    patch.setattr(speculative, "accepts", off)


def accepts_too_often(patch: Patch) -> None:
    """One guess in ten is kept whatever its probability."""
    right = speculative.accepts

    def off(law: Any, p: Tensor, q: Tensor, guess: Tensor, u: Tensor) -> Tensor:
        return right(law, p, q, guess, u) | (u * 1000 % 1 < 0.1)

    patch.setattr(speculative, "accepts", off)


def accepts_by_the_root(patch: Patch) -> None:
    """A guess is kept with probability sqrt(p / q)."""
    right = speculative.accepts
    patch.setattr(speculative, "accepts", lambda law, p, q, guess, u: right(law, p, q, guess, u**2))


def rest_from_the_target(patch: Patch) -> None:
    """A rejected guess is drawn again from p, not from (p - q)+."""
    patch.setattr(speculative, "residual", lambda p, q: p.double())


def rest_from_the_absolute(patch: Patch) -> None:
    """A rejected guess is drawn again from |p - q|."""
    patch.setattr(speculative, "residual", lambda p, q: (p.double().softmax(-1) - q.double().softmax(-1)).abs().log())

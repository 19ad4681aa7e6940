"""Events to train on: those of the data, in the model's dtype, real ones dequantised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from arbench.distributions import uniforms
from arbench.models import Context, Source


def event(model: Source, n: int, rows: Sequence[int], seed: int, data: Any) -> tuple[Tensor, Context]:
    """Return events (B, N) and their context as the model reads them.

    A level that the model reads as a real number is blurred by uniform noise within its cell.

    Args:
        model: receives the events.
        n: elements of an event.
        rows: global row indices.
        seed: seed of the choice and of the dequantisation.
        data: data for ``Source.observe``.
    """
    like = next(model.parameters())
    x, context = model.observe(n, rows, seed, data)
    if model.cell and x.is_floating_point():
        x = x.double() + (uniforms(seed + 2**62, rows, range(x.shape[1]), 1)[..., 0] - 0.5) * model.cell
    return _like(x, like), {key: _like(value, like) for key, value in context.items()}


def _like(value: Tensor, other: Tensor) -> Tensor:
    return value.to(other.device, other.dtype) if value.is_floating_point() else value.to(other.device)

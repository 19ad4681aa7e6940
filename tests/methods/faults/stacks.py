"""Faults to plant in dilated stacks: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from arbench.models import parallel_wavenet, wavenet
from arbench.models.layers import dilated

Patch = pytest.MonkeyPatch
Stack = dilated.DilatedStack


class Young(list):
    """A ring that is read one slot too young."""

    def __getitem__(self, i: Any) -> Any:
        return super().__getitem__((i + 1) % len(self) if isinstance(i, int) else i)


def future_leaks(patch: Patch) -> None:
    """Every layer's causal padding is one too short on the left, in forward."""
    pad = dilated.pad

    def leaky(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        *rest, left, right = widths
        return pad(x, (*rest, left - 1, right + 1)) if left else pad(x, widths)

    patch.setattr(dilated, "pad", leaky)


def present_leaks(patch: Patch) -> None:
    """The feed enters unshifted, in forward: an element's parameters see the element itself."""
    pad = wavenet.pad
    patch.setattr(wavenet, "pad", lambda x, widths: pad(x, (*widths[:-2], 0, 1)))
    patch.setattr(parallel_wavenet, "shift", lambda x: x)


def padded_too_far(patch: Patch) -> None:
    """Every layer's causal padding is one too long on the left, in forward."""
    pad = dilated.pad

    def late(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        *rest, left, right = widths
        return pad(x, (*rest, left + 1, right - 1)) if left else pad(x, widths)

    patch.setattr(dilated, "pad", late)


def ring_off_by_one(patch: Patch) -> None:
    start = Stack.start

    def off(self: Stack, batch: int) -> dilated.StackState:
        state = start(self, batch)
        state.rings = [Young(ring) for ring in state.rings]
        return state

    patch.setattr(Stack, "start", off)


def stale_cache(patch: Patch) -> None:
    """The state of one draw is the start of the next of its batch."""
    kept: dict[tuple[int, int], dilated.StackState] = {}
    start = Stack.start

    def stale(self: Stack, batch: int) -> dilated.StackState:
        state = kept.setdefault((id(self), batch), start(self, batch))
        state.t = 0
        return state

    patch.setattr(Stack, "start", stale)


def first_frame_stays(patch: Patch) -> None:
    """Steps stay at the first frame of the conditioning."""
    patch.setattr(dilated.GateOffsets, "frame", lambda self, t: 0)


def conditioning_dropped(patch: Patch) -> None:
    """Steps run without conditioning."""
    advance = Stack.advance

    def off(self: Stack, state: Any, x: Tensor, affine: dilated.GateOffsets, step: Any) -> Any:
        layers, width = self.gate_bias.shape
        return advance(self, state, x, dilated.GateOffsets(self.gate_bias.view(layers, 1, 1, width), None), step)

    patch.setattr(Stack, "advance", off)


def conditioning_ignored(patch: Patch) -> None:
    """Forward and steps alike run without conditioning, so that they agree."""
    patch.setattr(
        Stack, "encode", lambda self, context: dilated.GateOffsets(self.gate_bias.unsqueeze(1).unsqueeze(1), None)
    )


def wrong_dilation(patch: Patch) -> None:
    """Steps take one layer, of dilation 4 or the widest below, for half as wide as it is."""
    advance = Stack.advance

    def off(self: Stack, state: Any, x: Tensor, affine: dilated.GateOffsets, step: Any) -> Any:
        right = self.dilations
        layer = right.index(min(4, max(right)))
        self.dilations = [d // 2 if i == layer else d for i, d in enumerate(right)]
        try:
            return advance(self, state, x, affine, step)
        finally:
            self.dilations = right

    patch.setattr(Stack, "advance", off)


def receptive_field_off(by: int) -> Any:
    """The stated receptive field is wrong."""

    def plant(patch: Patch) -> None:
        right = Stack.receptive_field.fget  # type: ignore[attr-defined]
        patch.setattr(Stack, "receptive_field", property(lambda self: right(self) + by))

    plant.__name__ = f"receptive_field_off_by_{by}"
    return plant

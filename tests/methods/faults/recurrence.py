"""Faults to plant in recurrent layers: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.models import mingru, row_lstm, seq2seq
from arbench.models.layers import recurrent, row_layer

Patch = pytest.MonkeyPatch


def cell_forgotten(patch: Patch) -> None:
    """Steps of an LSTM start each element from an empty cell."""
    advance = recurrent.LSTMStack.advance

    def off(self: recurrent.LSTMStack, carry: Any, x: Tensor, step: Any) -> Tensor:
        carry.cell = [torch.zeros_like(c) for c in carry.cell]
        return advance(self, carry, x, step)

    patch.setattr(recurrent.LSTMStack, "advance", off)


def carry_shared(patch: Patch) -> None:
    """A copy of what is carried along is the thing itself."""
    patch.setattr(recurrent.Carry, "copied", lambda self: self)
    patch.setattr(mingru._State, "copied", lambda self: self)


def encoder_state_dropped(patch: Patch) -> None:
    """Steps of the decoder begin at zero, and not where the encoder ended."""
    start = recurrent.LSTMStack.start
    patch.setattr(recurrent.LSTMStack, "start", lambda self, batch, state=None: start(self, batch))


def source_not_read(patch: Patch) -> None:
    """Every source is read as the same."""
    encode = seq2seq.Seq2Seq.encode
    patch.setattr(
        seq2seq.Seq2Seq,
        "encode",
        lambda self, context, n: encode(self, {"source": torch.zeros_like(context["source"])}, n),
    )


def scan_from_nothing(patch: Patch) -> None:
    """A scan over a chunk begins at zero, and not at the state before it."""
    scan = mingru.scan
    patch.setattr(mingru, "scan", lambda gate, candidate, before: scan(gate, candidate, None))


def scan_one_ahead(patch: Patch) -> None:
    """A scan's candidates are those of the next element."""
    scan = mingru.scan
    patch.setattr(mingru, "scan", lambda gate, candidate, before: scan(gate, candidate.roll(-1, 1), before))


def taps_shifted(patch: Patch) -> None:
    """The convolution before minGRU loses the youngest of the inputs that it keeps."""
    convolved = mingru.MinGRULayer._convolved

    def off(self: mingru.MinGRULayer, x: Tensor, past: Any) -> Tensor:
        return convolved(self, x, past and [*past[:-1], torch.zeros_like(past[-1])])

    patch.setattr(mingru.MinGRULayer, "_convolved", off)


def reads_to_the_right(patch: Patch) -> None:
    """A Row LSTM's inputs are the pixel and the one to its right, in forward."""
    pad = row_layer.pad

    def leaky(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        return pad(x[:, :, 1:], (0, 0, 0, 2)) if widths == (0, 0, 1, 0) else pad(x, widths)

    patch.setattr(row_layer, "pad", leaky)


def row_above_forgotten(patch: Patch) -> None:
    """Steps of a Row LSTM begin each row as the first one."""
    turn = row_layer.RowLayer.next_row

    def off(self: row_layer.RowLayer, state: Any) -> None:
        state.hidden, state.cell = torch.zeros_like(state.hidden), torch.zeros_like(state.cell)
        turn(self, state)

    patch.setattr(row_layer.RowLayer, "next_row", off)


def rows_of_pictures_swapped(patch: Patch) -> None:
    """Steps of a Row LSTM's first convolution have the rows above in the wrong order."""
    turn = row_lstm.RowLSTM._next_row

    def off(self: row_lstm.RowLSTM, state: Any) -> None:
        state.pictures.reverse()
        turn(self, state)

    patch.setattr(row_lstm.RowLSTM, "_next_row", off)

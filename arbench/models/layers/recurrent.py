"""Layers of LSTM: the fused pass over a sequence, and the step from one element to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from arbench.models.base import Switched


def uniform_(tensor: Tensor, bound: float, generator: torch.Generator) -> Tensor:
    """Fill a tensor with U(-bound, bound)."""
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def begun(embedding: Tensor, past: Tensor, first: bool) -> Tensor:
    """Return the embeddings (B, M, R) of the symbols before each position.

    Args:
        embedding: (levels + 1, R); the last row is the vector that precedes the first symbol.
        past: symbols (B, M), or (B, M - 1) if position 0 is included.
        first: whether position 0 is included.
    """
    x = embedding[past]
    return torch.cat([embedding[-1:].expand(len(past), 1, -1), x], dim=1) if first else x


Ready = Sequence[tuple[Tensor, Tensor]]
Step = Callable[[Tensor, list[Tensor], list[Tensor], Ready], tuple[Tensor, list[Tensor], list[Tensor]]]
"""A step of a stack, and of what stands on it: see ``LSTMStack.step``."""


@dataclass
class Carry:
    """Hidden and cell state of each layer, (B, H) each; replaced, never written to."""

    hidden: list[Tensor]
    cell: list[Tensor]
    ready: Ready = field(metadata={"constant": True})
    """Each layer's weight (in + H, 4 H) and bias (4 H), both of its products in one."""

    def copied(self) -> Carry:
        """Return a copy to step from."""
        return Carry(list(self.hidden), list(self.cell), self.ready)


class LSTMStack(Switched):
    """Layers of i, f, g, o = W x_t + U h_{t-1} + b; c_t = f . c_{t-1} + i . g; h_t = o . tanh(c_t).

    Gates i, f and o pass a sigmoid, g passes tanh. A sequence is one call of PyTorch's own LSTM; a single
    element is one product and the gates, layer by layer.

    Source: Hochreiter and Schmidhuber, *Long Short-Term Memory*, 1997, with the forget gate of Gers et al.,
    2000. All weights and biases start from U(-``bound``, ``bound``).

    Args:
        inputs: width of x.
        width: H, the units of a layer.
        layers: number of layers.
        bound: largest magnitude of an initial weight.
        generator: random numbers for the initial weights.
    """

    def __init__(self, inputs: int, width: int, layers: int, bound: float, generator: torch.Generator) -> None:
        super().__init__()
        self.layers, self.width = layers, width
        # PyTorch's own initialisation would draw from the global generator
        empty = nn.LSTM(inputs, width, layers, batch_first=True, device="meta")
        self.lstm = empty.to_empty(device="cpu")
        for parameter in self.lstm.parameters():
            uniform_(parameter, bound, generator)

    def start(self, batch: int, state: tuple[Tensor, Tensor] | None = None) -> Carry:
        """Return the state before the first element: zeros, or ``state`` as ``forward`` returned it."""
        if state is None:
            zeros = self.repeated(self.lstm.all_weights[0][0].new_zeros(batch, self.width), 2 * self.layers)
            hidden, cell = zeros[: self.layers], zeros[self.layers :]
        else:
            hidden, cell = (list(part.unbind(0)) for part in state)
        ready = []
        for weights in self.lstm.all_weights:
            weight_ih, weight_hh, bias_ih, bias_hh = weights
            ready.append((torch.cat([weight_ih, weight_hh], dim=1).t().contiguous(), bias_ih + bias_hh))
        return Carry(hidden, cell, ready)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the last layer's h (B, M, H), and the final h and c of all layers, (layers, B, H) each.

        Args:
            x: inputs (B, M, inputs).
            state: h and c before the first of them, (layers, B, H) each; None for zeros.
        """
        found: tuple[Tensor, tuple[Tensor, Tensor]] = self.lstm(x, state)
        return found

    def extend(self, carry: Carry, x: Tensor) -> Tensor:
        """Return what ``forward`` does from the state ``carry``, and advance it in place."""
        if x.shape[1] == 1:
            return self.advance(carry, x[:, 0], self.step).unsqueeze(1)
        out, (hidden, cell) = self(x, (torch.stack(carry.hidden), torch.stack(carry.cell)))
        carry.hidden, carry.cell = list(hidden.unbind(0)), list(cell.unbind(0))
        return out

    def advance(self, carry: Carry, x: Tensor, step: Step) -> Tensor:
        """Run the next element x (B, inputs) by ``step``, advance the state in place, and return the step's result.

        Args:
            carry: state before the element.
            x: input of the stack.
            step: ``self.step``, or a function of the model that takes and returns the like.
        """
        out, carry.hidden, carry.cell = step(x, carry.hidden, carry.cell, carry.ready)
        return out

    def step(
        self, x: Tensor, hidden: list[Tensor], cell: list[Tensor], ready: Ready
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the last layer's h (B, H) at one element x (B, inputs), and the new h and c of all layers."""
        hiddens, cells = [], []
        for before, kept, (weight, bias) in zip(hidden, cell, ready, strict=True):
            a = torch.addmm(bias, torch.cat([x, before], dim=-1), weight)
            i, f, g, o = a.chunk(4, dim=-1)
            new = f.sigmoid() * kept + i.sigmoid() * g.tanh()
            x = o.sigmoid() * new.tanh()
            hiddens.append(x)
            cells.append(new)
        return x, hiddens, cells

"""Layers of LSTM or GRU: the fused pass over a sequence, and the step from one element to the next."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from arbench.models.base import Switched


def uniform_(tensor: Tensor, bound: float, generator: torch.Generator) -> Tensor:
    """Fill a tensor with U(-bound, bound)."""
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def begun(embedding: Tensor, past: Tensor, first: bool, begin: int = -1) -> Tensor:
    """Return the embeddings (B, M, R) of the symbols before each position.

    Args:
        embedding: (levels + 1, R), or (levels, R) where a symbol marks the beginning.
        past: symbols (B, M), or (B, M - 1) if position 0 is included.
        first: whether position 0 is included.
        begin: row of the vector that precedes the first symbol; the last by default.
    """
    x = embedding[past]
    return torch.cat([embedding[begin].expand(len(past), 1, -1), x], dim=1) if first else x


Ready = Sequence[tuple[Tensor, ...]]
Step = Callable[[Tensor, list[Tensor], list[Tensor], Ready], tuple[Tensor, list[Tensor], list[Tensor]]]
"""A step of a stack, and of what stands on it: see ``Stack.step``."""
Network = TypeVar("Network", nn.LSTM, nn.GRU)


@dataclass
class Carry:
    """State of each layer, (B, H) each; replaced, never written to."""

    hidden: list[Tensor]
    cell: list[Tensor]
    """Cell states of an LSTM; empty for a GRU."""
    ready: Ready = field(metadata={"constant": True})
    """Each layer's weights and biases, as its step multiplies by them."""

    def copied(self) -> Carry:
        """Return a copy to step from."""
        return Carry(list(self.hidden), list(self.cell), self.ready)


class Stack(Switched):
    """Layers of one kind of recurrent cell; a subclass defines the cell.

    Args:
        width: H, the units of a layer.
        layers: number of layers.
    """

    parts: int
    """Number of states of a layer: h, or h and c."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.width, self.layers = width, layers

    @abstractmethod
    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the last layer's h (B, M, H), and the final states of all layers, (layers, B, H) each.

        Args:
            x: inputs (B, M, inputs).
            state: states before the first of them, (layers, B, H) each; None for zeros.
        """

    @abstractmethod
    def ready(self) -> Ready:
        """Return each layer's weights and biases, as ``step`` multiplies by them."""

    @abstractmethod
    def step(
        self, x: Tensor, hidden: list[Tensor], cell: list[Tensor], ready: Ready
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the last layer's h (B, H) at one element x (B, inputs), and the new h and c of all layers."""

    def start(self, batch: int, state: tuple[Tensor, ...] | None = None) -> Carry:
        """Return the state before the first element: zeros, or ``state`` as ``forward`` returned it."""
        ready = self.ready()
        if state is None:
            zeros = self.repeated(ready[0][0].new_zeros(batch, self.width), self.parts * self.layers)
            hidden, cell = zeros[: self.layers], zeros[self.layers :]
        else:
            hidden, cell = list(state[0].unbind(0)), [c for part in state[1:] for c in part.unbind(0)]
        return Carry(hidden, cell, ready)

    def extend(self, carry: Carry, x: Tensor) -> Tensor:
        """Return what ``forward`` does from the state ``carry``, and advance it in place."""
        if x.shape[1] == 1:
            return self.advance(carry, x[:, 0], self.step).unsqueeze(1)
        out, state = self(x, tuple(torch.stack(part) for part in (carry.hidden, carry.cell) if part))
        carry.hidden, carry.cell = list(state[0].unbind(0)), [c for part in state[1:] for c in part.unbind(0)]
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


def filled(network: Network, bound: float, generator: torch.Generator) -> Network:
    """Return a network made on the device "meta", with weights and biases from U(-bound, bound).

    PyTorch's own initialisation would draw from the global generator.
    """
    network = network.to_empty(device="cpu")
    for parameter in network.parameters():
        uniform_(parameter, bound, generator)
    return network


class LSTMStack(Stack):
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

    parts = 2

    def __init__(self, inputs: int, width: int, layers: int, bound: float, generator: torch.Generator) -> None:
        super().__init__(width, layers)
        self.lstm = filled(nn.LSTM(inputs, width, layers, batch_first=True, device="meta"), bound, generator)

    def ready(self) -> Ready:
        """Return each layer's weight (in + H, 4 H) and bias (4 H), both of its products in one."""
        found = []
        for weights in self.lstm.all_weights:
            weight_ih, weight_hh, bias_ih, bias_hh = weights
            found.append((torch.cat([weight_ih, weight_hh], dim=1).t().contiguous(), bias_ih + bias_hh))
        return found

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the last layer's h (B, M, H), and the final h and c of all layers, (layers, B, H) each."""
        found: tuple[Tensor, tuple[Tensor, ...]] = self.lstm(x, state)
        return found

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


class GRUStack(Stack):
    """Layers of h_t = z . h_{t-1} + (1 - z) . n, where n = tanh(W_n x_t + b_n + r . (U_n h_{t-1} + d_n)).

    The gates r and z are sigmoids of W x_t + b + U h_{t-1} + d. A sequence is one call of PyTorch's own GRU; a
    single element is two products and the gates, layer by layer. On the CPU ``torch.compile`` unrolls the call, so that
    each length of a sequence is a graph of its own.

    Source: Cho et al., *Learning Phrase Representations using RNN Encoder-Decoder*, 2014, arXiv:1406.1078, with the
    gate r behind the product, as PyTorch and cuDNN have it. All weights and biases start from U(-``bound``, ``bound``).

    The arguments are those of ``LSTMStack``.
    """

    parts = 1

    def __init__(self, inputs: int, width: int, layers: int, bound: float, generator: torch.Generator) -> None:
        super().__init__(width, layers)
        self.gru = filled(nn.GRU(inputs, width, layers, batch_first=True, device="meta"), bound, generator)

    def ready(self) -> Ready:
        """Return each layer's weights (in, 3 H) and (H, 3 H), and biases (3 H) of r, z and n."""
        found = []
        for weights in self.gru.all_weights:
            weight_ih, weight_hh, bias_ih, bias_hh = weights
            found.append((weight_ih.t().contiguous(), weight_hh.t().contiguous(), bias_ih, bias_hh))
        return found

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the last layer's h (B, M, H), and the final h of all layers, (layers, B, H)."""
        out, hidden = self.gru(x, None if state is None else state[0])
        return out, (hidden,)

    def step(
        self, x: Tensor, hidden: list[Tensor], cell: list[Tensor], ready: Ready
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the last layer's h (B, H) at one element x (B, inputs), and the new h of all layers."""
        hiddens = []
        for before, (weight_ih, weight_hh, bias_ih, bias_hh) in zip(hidden, ready, strict=True):
            of_x, of_h = torch.addmm(bias_ih, x, weight_ih), torch.addmm(bias_hh, before, weight_hh)
            (r_x, z_x, n_x), (r_h, z_h, n_h) = of_x.chunk(3, dim=-1), of_h.chunk(3, dim=-1)
            new = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
            x = new + (z_x + z_h).sigmoid() * (before - new)
            hiddens.append(x)
        return x, hiddens, cell

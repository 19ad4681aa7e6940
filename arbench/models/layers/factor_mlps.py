"""A network for every factor, from all elements before it: what sharing weights is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from arbench.models.base import lecun_normal_

Ready = list[tuple[Tensor, Tensor]]
"""Weight and bias of each product: the first (n E, n H), then of every factor apart, (n, in, out)."""


@dataclass
class FactorState:
    ready: Ready = field(metadata={"constant": True})


class FactorMLPs(nn.Module):
    """D multilayer perceptrons of ReLUs that share nothing: that of element d reads the d elements before.

    All of them are evaluated at once: the first product as one, zero where an element reads nothing, the
    others in a batch. A step keeps nothing but the event itself.

    Weights start with variance 1/fan_in, biases at zero.

    Args:
        elements: D.
        inputs: numbers an element enters by, E.
        outputs: numbers of each element, P.
        hidden: units of each hidden layer of each network.
        generator: of the initial weights.
        scale: of the outputs' initial weights, over the usual.

    Raises:
        ValueError: a hidden layer of no units.
    """

    def __init__(
        self,
        *,
        elements: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"needs hidden layers of 1 unit at least, got {hidden}")
        self.inputs, self.outputs, self.hidden = inputs, outputs, tuple(hidden)
        factor, read = torch.tril_indices(elements, elements, -1)
        first = lecun_normal_(torch.empty(len(factor), inputs, hidden[0]), inputs, generator)
        self.first = nn.Parameter(first / factor.view(-1, 1, 1).sqrt())
        """Factor after factor, of each the elements before it: (D (D - 1) / 2, E, H)."""
        sizes = [*hidden, outputs]
        self.later = nn.ParameterList(
            lecun_normal_(torch.empty(elements, a, b), a, generator, scale if layer == len(hidden) else 1.0)
            for layer, (a, b) in enumerate(pairwise(sizes), 1)
        )
        self.biases = nn.ParameterList(torch.zeros(elements, size) for size in sizes)
        self.place: Tensor
        place = torch.zeros(elements, elements, dtype=torch.long)
        place[read, factor] = torch.arange(1, len(factor) + 1)
        self.register_buffer("place", place, persistent=False)

    def weights(self, n: int) -> int:
        """Parameters of the first ``n`` networks."""
        pairs, sizes = n * (n - 1) // 2, [*self.hidden, self.outputs]
        later = sum(a * b for a, b in pairwise(sizes))
        return pairs * self.inputs * self.hidden[0] + n * (later + sum(sizes))

    def ready(self, n: int) -> Ready:
        """Weights for events of ``n`` elements."""
        known = pad(self.first[: n * (n - 1) // 2].flatten(1), (0, 0, 1, 0))
        first = embedding(self.place[:n, :n], known).view(n, n, self.inputs, self.hidden[0])
        dense = first.transpose(1, 2).reshape(n * self.inputs, n * self.hidden[0])
        return [
            (dense, self.biases[0][:n].flatten()),
            *((w[:n], b[:n, None]) for w, b in zip(self.later, list(self.biases)[1:], strict=True)),
        ]

    def forward(self, inputs: Tensor, ready: Ready) -> Tensor:
        """Outputs (B, n, P) of all elements from the inputs of all but the last, (B, n - 1, E)."""
        return self._factors(ready, inputs, 0, inputs.shape[1] + 1)

    def start(self, batch: int, ready: Ready) -> FactorState:
        return FactorState(ready)

    def reads_from(self, g0: int) -> int:
        """The first element that ``extend`` wants."""
        return 0

    def extend(self, state: FactorState, inputs: Tensor, g0: int, g1: int) -> Tensor:
        """Outputs (B, g1 - g0, P) of elements g0 .. g1-1 from the inputs of all before g1-1, (B, .., E)."""
        return self._factors(state.ready, inputs, g0, g1)

    def _factors(self, ready: Ready, inputs: Tensor, g0: int, g1: int) -> Tensor:
        (first, bias), *later = ready
        units, flat = slice(g0 * self.hidden[0], g1 * self.hidden[0]), inputs.flatten(1)
        x: Any = torch.addmm(bias[units], flat, first[: flat.shape[1], units])
        x = x.unflatten(1, (g1 - g0, self.hidden[0])).transpose(0, 1)
        for weight, bias in later:
            x = torch.baddbmm(bias[g0:g1], torch.relu(x), weight[g0:g1])
        return x.transpose(0, 1)

"""A separate network for every factor, from all elements before it: the counterpart of shared weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from arbench.models.base import lecun_normal_

FactorWeights = list[tuple[Tensor, Tensor]]
"""Weight and bias of each product: the first joined, (n E, n H), the others per factor, (n, in, out)."""


@dataclass
class FactorState:
    """State of steps: the weights alone."""

    ready: FactorWeights = field(metadata={"constant": True})


class FactorMLPs(nn.Module):
    """D multilayer perceptrons of ReLUs that share no weights; perceptron d reads the d elements before its own.

    All of them run at once: the first products as one, with zeros where an element reads nothing, the others
    in a batch. A step keeps only the event itself.

    Weights start with variance 1/fan_in, biases at zero.

    Args:
        elements: D, the number of elements.
        inputs: E, the numbers by which an element enters.
        outputs: P, the numbers returned for each element.
        hidden: units of each hidden layer of each network.
        generator: random numbers for the initial weights.
        scale: scale of the outputs' initial weights, relative to the usual one.

    Raises:
        ValueError: there is no hidden layer, or one without units.
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
            raise ValueError(f"hidden layers need at least 1 unit each, got {list(hidden)}")
        self.inputs, self.outputs, self.hidden = inputs, outputs, tuple(hidden)
        factor, read = torch.tril_indices(elements, elements, -1)
        first = lecun_normal_(torch.empty(len(factor), inputs, hidden[0]), inputs, generator)
        self.first = nn.Parameter(first / factor.view(-1, 1, 1).sqrt())
        """First weights of each factor for each element before it: (D (D - 1) / 2, E, H)."""
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
        """Return the number of parameters of the first ``n`` networks."""
        pairs, sizes = n * (n - 1) // 2, [*self.hidden, self.outputs]
        later = sum(a * b for a, b in pairwise(sizes))
        return pairs * self.inputs * self.hidden[0] + n * (later + sum(sizes))

    def ready(self, n: int) -> FactorWeights:
        """Return the weights for events of ``n`` elements."""
        known = pad(self.first[: n * (n - 1) // 2].flatten(1), (0, 0, 1, 0))
        first = embedding(self.place[:n, :n], known).view(n, n, self.inputs, self.hidden[0])
        dense = first.transpose(1, 2).reshape(n * self.inputs, n * self.hidden[0])
        return [
            (dense, self.biases[0][:n].flatten()),
            *((w[:n], b[:n, None]) for w, b in zip(self.later, list(self.biases)[1:], strict=True)),
        ]

    def forward(self, inputs: Tensor, ready: FactorWeights) -> Tensor:
        """Return outputs (B, n, P) of all elements from the inputs of all but the last, (B, n - 1, E)."""
        return self._factors(ready, inputs, 0, inputs.shape[1] + 1)

    def start(self, batch: int, ready: FactorWeights) -> FactorState:
        """Return the state before the first element."""
        return FactorState(ready)

    def reads_from(self, g0: int) -> int:
        """Return the first element that ``extend`` reads."""
        return 0

    def extend(self, state: FactorState, inputs: Tensor, g0: int, g1: int) -> Tensor:
        """Return outputs (B, g1 - g0, P) of elements g0 .. g1-1 from the inputs before g1-1, (B, .., E)."""
        return self._factors(state.ready, inputs, g0, g1)

    def _factors(self, ready: FactorWeights, inputs: Tensor, g0: int, g1: int) -> Tensor:
        (first, bias), *later = ready
        units, flat = slice(g0 * self.hidden[0], g1 * self.hidden[0]), inputs.flatten(1)
        x: Any = torch.addmm(bias[units], flat, first[: flat.shape[1], units])
        x = x.unflatten(1, (g1 - g0, self.hidden[0])).transpose(0, 1)
        for weight, bias in later:
            x = torch.baddbmm(bias[g0:g1], torch.relu(x), weight[g0:g1])
        return x.transpose(0, 1)

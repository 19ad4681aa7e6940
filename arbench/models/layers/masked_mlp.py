"""The network of MADE: a multilayer perceptron whose outputs for an element read earlier elements only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from arbench.models.layers.masked import Masked

Ready = list[tuple[Tensor, Tensor]]
"""Weight (in, out) and bias of each product, for events of some length."""
LARGEST = 1e3
"""Real inputs are read as no larger: a guess far off must not become an infinity that a masked zero turns
into a NaN of an *earlier* element. Their sums are to fit float16 too, which ends at 65,504."""


@dataclass
class MLPState:
    ready: Ready = field(metadata={"constant": True})
    sums: Tensor
    """What enters the first hidden layer, (B, H): complete in units whose inputs are all known."""
    hidden: list[Tensor]
    """Each hidden layer's activations, (B, H); zeros in units that are still to come."""


class MaskedMLP(nn.Module):
    """Hidden layers of ReLUs, each unit of a degree m: it reads what depends on the first m elements.

    Degrees run from 1 to D - 1, evenly spaced and ascending, so that the units which an element completes are
    a slice: a step adds one row to the sums of the first layer and evaluates that slice of each layer.

    Source: Germain et al., *MADE*, 2015, section 4, which draws degrees at random; the order of units within
    a layer is of no consequence. Weights start with variance 1/fan_in of what is not masked, biases at zero.

    Args:
        elements: D, at least 2.
        inputs: numbers an element enters by, E.
        outputs: numbers of each element, P.
        hidden: units of each hidden layer.
        generator: of the initial weights.
        normalised: whether each unit's weights are a direction and a gain (Salimans and Kingma, *Weight
            Normalization*, 2016), as ``initialise`` wants it.
        scale: of the outputs' initial weights, over the usual.

    Raises:
        ValueError: fewer than two elements, or a hidden layer of no units.
    """

    def __init__(
        self,
        *,
        elements: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        normalised: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if elements < 2 or not hidden or min(hidden) < 1:
            raise ValueError(f"needs 2 elements and hidden layers of 1 unit, got {elements}, {list(hidden)}")
        self.elements, self.inputs, self.outputs, self.scale = elements, inputs, outputs, scale
        self.hidden = tuple(hidden)
        degrees = [
            torch.arange(1, elements + 1).repeat_interleave(inputs),
            *(1 + torch.arange(units) * (elements - 1) // units for units in hidden),
            torch.arange(elements).repeat_interleave(outputs),
        ]
        self.products = nn.ModuleList(
            Masked((degrees[i][:, None] <= degrees[i + 1]).float(), generator, by_output=i > 0)
            for i in range(len(degrees) - 1)
        )
        with torch.no_grad():
            self._products()[-1].weight.mul_(scale)
        self.gains = nn.ParameterList(
            [nn.Parameter(product.weight.detach().norm(dim=0)) for product in self._products()] if normalised else []
        )

    def _products(self) -> list[Masked]:
        return [product for product in self.products if isinstance(product, Masked)]

    def weights(self, n: int) -> int:
        """Parameters of a network for ``n`` elements: rows of its inputs, columns of its outputs, and the
        hidden layers, which all elements share."""
        sizes = [n * self.inputs, *self.hidden, n * self.outputs]
        each = 1 + bool(len(self.gains))
        return sum((a + each) * b for a, b in pairwise(sizes))

    def ready(self, n: int) -> Ready:
        """Weights for events of ``n`` elements."""
        found: Ready = [(product.weight, product.bias) for product in self._products()]
        if len(self.gains):
            found = [(_directions(weight) * gain, bias) for (weight, bias), gain in zip(found, self.gains, strict=True)]
        last = n * self.outputs
        found[0] = found[0][0][: n * self.inputs], found[0][1]
        found[-1] = found[-1][0][:, :last], found[-1][1][:last]
        return found

    def forward(self, inputs: Tensor, ready: Ready) -> Tensor:
        """Outputs (B, n, P) of all elements from the inputs of all but the last, (B, n - 1, E)."""
        (first, bias), *later = ready
        flat = inputs.flatten(1).to(first.dtype)
        x = torch.addmm(bias, flat, first[: flat.shape[1]])
        for weight, bias in later:
            x = torch.addmm(bias, torch.relu(x), weight)
        return x.unflatten(1, (inputs.shape[1] + 1, self.outputs))

    def start(self, batch: int, ready: Ready) -> MLPState:
        bias = ready[0][1]
        hidden = [bias.new_zeros(batch, units) for units in self.hidden]
        return MLPState(ready, bias.expand(batch, -1).clone(), hidden)

    def reads_from(self, g0: int) -> int:
        """The first element that ``extend`` from ``g0`` on wants."""
        return max(g0 - 1, 0)

    def extend(self, state: MLPState, inputs: Tensor, g0: int, g1: int) -> Tensor:
        """Outputs (B, g1 - g0, P) of elements g0 .. g1-1, from the inputs of elements ``reads_from(g0)`` ..
        g1-2: (B, .., E). The state goes along."""
        (first, _), *later, (last, last_bias) = state.ready
        begin, end = self.reads_from(g0) * self.inputs, (g1 - 1) * self.inputs
        if end > begin:
            state.sums.addmm_(inputs.flatten(1).to(first.dtype), first[begin:end])
        for layer in range(len(self.hidden) if g1 > 1 else 0):
            lo, hi = self._completed(layer, g0, g1)
            if layer == 0:
                x = state.sums[:, lo:hi]
            else:
                weight, bias = later[layer - 1]
                x = torch.addmm(bias[lo:hi], state.hidden[layer - 1], weight[:, lo:hi])
            state.hidden[layer][:, lo:hi].copy_(torch.relu(x))
        columns = slice(g0 * self.outputs, g1 * self.outputs)
        out = torch.addmm(last_bias[columns], state.hidden[-1], last[:, columns])
        return out.unflatten(1, (g1 - g0, self.outputs))

    def _completed(self, layer: int, g0: int, g1: int) -> tuple[int, int]:
        """Units of a layer whose inputs are all known at g1 and were not at g0; a few before them, so that
        steps are all of one width."""
        units, degrees = self.hidden[layer], self.elements - 1
        hi = -(-(g1 - 1) * units // degrees)
        return min(-(-max(g0 - 1, 0) * units // degrees), hi - -(-units // degrees)), hi

    @torch.no_grad()
    def initialise(self, inputs: Tensor) -> None:
        """Gains and biases such that on these inputs (B, D - 1, E) what enters each unit has mean 0 and
        variance 1; of outputs ``scale`` squared.

        Source: Salimans and Kingma, *Weight Normalization*, 2016, section 3. Of normalised networks only.

        Raises:
            ValueError: fewer than two events, or not all D elements of them.
        """
        if inputs.shape[0] < 2 or inputs.shape[1] != self.elements - 1:
            raise ValueError(
                f"initialisation needs two or more events of {self.elements} elements, got "
                f"{inputs.shape[0]} of {inputs.shape[1] + 1}"
            )
        x = inputs.flatten(1)
        for i, (product, gain) in enumerate(zip(self._products(), self.gains, strict=True)):
            x = x @ _directions(product.weight)[: x.shape[1]]
            spread, mean = torch.std_mean(x, dim=0, correction=0)
            wanted = self.scale if i == len(self.hidden) else 1.0
            gain.copy_(torch.where(spread > 0, wanted / spread, wanted))
            product.bias.copy_(-mean * gain)
            x = torch.relu(x * gain + product.bias)


def _directions(weight: Tensor) -> Tensor:
    """Columns of length 1, but for those of nothing but zeros."""
    return weight / weight.norm(dim=0).clamp_min(torch.finfo(weight.dtype).tiny)

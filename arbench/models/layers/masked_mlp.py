"""MADE's network: a multilayer perceptron in which an element's outputs depend on earlier elements alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from arbench.models.layers.masked import Masked

ProductWeights = list[tuple[Tensor, Tensor]]
"""Weight (in, out) and bias of each product, for events of some length."""
LARGEST = 1e3
"""Bound to which real inputs are clamped.

Otherwise a far-off guess could become an infinity, and a masked zero times it a NaN in an *earlier* element.
Sums of clamped inputs must also fit float16, whose maximum is 65,504.
"""


@dataclass
class MLPState:
    """State of steps: the weights, and each layer so far."""

    ready: ProductWeights = field(metadata={"constant": True})
    sums: Tensor
    """Inputs of the first hidden layer, (B, H): complete in units whose inputs are all known."""
    hidden: list[Tensor]
    """Activations of each hidden layer, (B, H); zero in units that are not complete."""


class MaskedMLP(nn.Module):
    """Hidden layers of ReLUs in which a unit of degree m depends on the first m elements.

    Degrees run from 1 to D - 1, evenly spaced and ascending, so that the units which an element completes are
    a slice: a step adds one row to the sums of the first layer and evaluates that slice of each layer.

    Source: Germain et al., *MADE*, 2015, section 4, which draws degrees at random; the order of units within
    a layer does not matter. Weights start with variance 1/fan_in of the unmasked inputs, biases at zero.

    Args:
        elements: D, the number of elements, at least 2.
        inputs: E, the numbers by which an element enters.
        outputs: P, the numbers returned for each element.
        hidden: units of each hidden layer.
        generator: random numbers for the initial weights.
        normalised: whether each unit's weights are a direction and a gain (Salimans and Kingma, *Weight
            Normalization*, 2016), which ``initialise`` requires.
        scale: scale of the outputs' initial weights, relative to the usual one.

    Raises:
        ValueError: there are fewer than two elements, no hidden layer, or one without units.
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
            got = f"got {elements} and {list(hidden)}"
            raise ValueError(f"needs at least 2 elements and hidden layers with units, {got}")
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
        """Return the number of parameters for ``n`` elements.

        Input rows and output columns are counted for these elements; all elements share the hidden layers.
        """
        sizes = [n * self.inputs, *self.hidden, n * self.outputs]
        each = 1 + bool(len(self.gains))
        return sum((a + each) * b for a, b in pairwise(sizes))

    def ready(self, n: int) -> ProductWeights:
        """Return the weights for events of ``n`` elements."""
        found: ProductWeights = [(product.weight, product.bias) for product in self._products()]
        if len(self.gains):
            found = [(_directions(weight) * gain, bias) for (weight, bias), gain in zip(found, self.gains, strict=True)]
        last = n * self.outputs
        found[0] = found[0][0][: n * self.inputs], found[0][1]
        found[-1] = found[-1][0][:, :last], found[-1][1][:last]
        return found

    def forward(self, inputs: Tensor, ready: ProductWeights) -> Tensor:
        """Return outputs (B, n, P) of all elements from the inputs of all but the last, (B, n - 1, E)."""
        (first, bias), *later = ready
        flat = inputs.flatten(1).to(first.dtype)
        x = torch.addmm(bias, flat, first[: flat.shape[1]])
        for weight, bias in later:
            x = torch.addmm(bias, torch.relu(x), weight)
        return x.unflatten(1, (inputs.shape[1] + 1, self.outputs))

    def start(self, batch: int, ready: ProductWeights) -> MLPState:
        """Return the state before the first element."""
        bias = ready[0][1]
        hidden = [bias.new_zeros(batch, units) for units in self.hidden]
        return MLPState(ready, bias.expand(batch, -1).clone(), hidden)

    def reads_from(self, g0: int) -> int:
        """Return the first element that ``extend`` from ``g0`` reads."""
        return max(g0 - 1, 0)

    def extend(self, state: MLPState, inputs: Tensor, g0: int, g1: int) -> Tensor:
        """Return outputs (B, g1 - g0, P) of elements g0 .. g1-1, and advance the state in place.

        Args:
            state: state at g0.
            inputs: inputs (B, .., E) of elements ``reads_from(g0)`` .. g1-2.
            g0: first element.
            g1: element after the last.
        """
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
        """Return the slice of a layer's units that become complete between g0 and g1.

        A few units before them are included, so that all steps have the same width.
        """
        units, degrees = self.hidden[layer], self.elements - 1
        hi = -(-(g1 - 1) * units // degrees)
        return min(-(-max(g0 - 1, 0) * units // degrees), hi - -(-units // degrees)), hi

    @torch.no_grad()
    def initialise(self, inputs: Tensor) -> None:
        """Set gains and biases so that on these inputs each unit's input has mean 0 and variance 1.

        The variance of outputs becomes ``scale`` squared. The network must be normalised.

        Source: Salimans and Kingma, *Weight Normalization*, 2016, section 3.

        Args:
            inputs: (B, D - 1, E), all elements but the last.

        Raises:
            ValueError: there are fewer than two events, or they are not whole.
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
    """Scale columns to length 1, except those of zeros alone."""
    return weight / weight.norm(dim=0).clamp_min(torch.finfo(weight.dtype).tiny)

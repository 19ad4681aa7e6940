"""Weight normalisation: products with unit directions and gains, folded once per draw, fitted to data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DIRECTION_STD = 0.05
"""Standard deviation of initial directions."""


class WeightNormed(nn.Module):
    """A product (.., in) to (.., out): x @ (gain * v / ||v||) + bias, one direction v for each output.

    With ``spread`` above 1 an input makes that many vectors of outputs, which share the outputs' gains and
    norms; ``assemble`` puts them in their places.

    Directions start as N(0, 0.05^2), gains at ``scale``, biases at zero: an output then has the mean square
    of its inputs, times ``scale`` squared. ``Fitting`` sets gains and biases from data.

    Source: Salimans and Kingma, *Weight Normalization*, 2016, eq. 2 and section 3.

    Args:
        inputs: width of the input.
        outputs: width of the output.
        generator: random numbers for the directions.
        scale: standard deviation that ``Fitting`` gives the outputs.
        spread: vectors of outputs per input.
    """

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator, *, scale: float = 1.0, spread: int = 1
    ) -> None:
        super().__init__()
        self.scale = scale
        self.number = 0  # among the layers of its network; see ``numbered``
        direction = torch.empty(inputs, spread, outputs).normal_(0, DIRECTION_STD, generator=generator)
        self.direction = nn.Parameter(direction)
        self.gain = nn.Parameter(torch.full((outputs,), scale))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the effective weight (in, spread * out) and the bias (out,)."""
        norm = self.direction.square().sum((0, 1)).sqrt()
        return (self.direction * (self.gain / norm)).flatten(1), self.bias

    def assemble(self, made: Tensor) -> Tensor:
        """Arrange products (.., spread * out) as outputs; by default they stay as they are."""
        return made


def numbered(network: nn.Module) -> list[WeightNormed]:
    """Give the layers of a network their numbers, and return them; its ``__init__`` calls this at the end."""
    layers = [module for module in network.modules() if isinstance(module, WeightNormed)]
    for number, layer in enumerate(layers):
        layer.number = number
    return layers


class FoldedWeights:
    """Weights of all layers of a network, folded once per draw; a call applies one layer to its input."""

    def __init__(self, network: nn.Module) -> None:
        self._folded = [layer.folded() for layer in numbered(network)]

    def __getitem__(self, layer: WeightNormed) -> tuple[Tensor, Tensor]:
        """Return the weight (in, spread * out) and the bias (out,) of a layer."""
        return self._folded[layer.number]

    def __call__(self, layer: WeightNormed, x: Tensor) -> Tensor:
        """Apply a layer (.., in) to (.., out)."""
        weight, bias = self._folded[layer.number]
        return layer.assemble(x @ weight) + bias


class Fitting(FoldedWeights):
    """Data-dependent initialisation: a call first sets the layer's gains and biases from its input.

    The outputs then have mean 0 and standard deviation ``scale`` over all places of this input.

    Source: Salimans and Kingma, *Weight Normalization*, 2016, section 3.
    """

    def __call__(self, layer: WeightNormed, x: Tensor) -> Tensor:
        """Set the layer's gains and biases from x, then apply it."""
        with torch.no_grad():
            layer.gain.fill_(1.0)
            layer.bias.zero_()
            made = layer.assemble(x @ layer.folded()[0])
            variance, mean = torch.var_mean(made, dim=tuple(range(made.dim() - 1)), correction=0)
            layer.gain.copy_(layer.scale * (variance + 1e-8).rsqrt())
            layer.bias.copy_(-mean * layer.gain)
            self._folded[layer.number] = layer.folded()
            return super().__call__(layer, x)

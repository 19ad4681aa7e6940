"""Weight normalisation: products with unit directions and gains, made ready once and fitted to data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DIRECTION_STD = 0.05


class WeightNormed(nn.Module):
    """A product (.., in) to (.., out): x @ (gain * v / ||v||) + bias, one direction v for each output.

    With ``spread`` above 1 an input makes that many vectors of outputs, which share the outputs' gains and
    norms; ``assemble`` says where they go.

    Directions start as N(0, 0.05^2), gains at ``scale``, biases at zero: an output then has the mean square
    of its inputs, times ``scale`` squared. ``Fitting`` sets gains and biases from data.

    Source: Salimans and Kingma, *Weight Normalization*, 2016, eq. 2 and section 3.

    Args:
        inputs, outputs: widths.
        generator: of the directions.
        scale: standard deviation that ``Fitting`` gives the outputs.
        spread: vectors of outputs that one input makes.
    """

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator, *, scale: float = 1.0, spread: int = 1
    ) -> None:
        super().__init__()
        self.scale = scale
        direction = torch.empty(inputs, spread, outputs).normal_(0, DIRECTION_STD, generator=generator)
        self.direction = nn.Parameter(direction)
        self.gain = nn.Parameter(torch.full((outputs,), scale))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def folded(self) -> tuple[Tensor, Tensor]:
        """The weight (in, spread * out) and the bias (out,) that it comes to."""
        norm = self.direction.square().sum((0, 1)).sqrt()
        return (self.direction * (self.gain / norm)).flatten(1), self.bias

    def assemble(self, made: Tensor) -> Tensor:
        """Outputs where they belong, from (.., spread * out)."""
        return made


class Ready:
    """The weights of all layers of a network, folded once a draw; called with a layer and its input."""

    def __init__(self, network: nn.Module) -> None:
        self.of = {m: m.folded() for m in network.modules() if isinstance(m, WeightNormed)}

    def __call__(self, layer: WeightNormed, x: Tensor) -> Tensor:
        weight, bias = self.of[layer]
        return layer.assemble(x @ weight) + bias


class Fitting(Ready):
    """Data-dependent initialisation: each layer that is called first gets the gains and biases by which its
    outputs, over all places of this input, have mean 0 and its ``scale`` as their standard deviation.

    Source: Salimans and Kingma, as above, section 3.
    """

    def __call__(self, layer: WeightNormed, x: Tensor) -> Tensor:
        with torch.no_grad():
            layer.gain.fill_(1.0)
            layer.bias.zero_()
            made = layer.assemble(x @ layer.folded()[0])
            variance, mean = torch.var_mean(made, dim=tuple(range(made.dim() - 1)), correction=0)
            layer.gain.copy_(layer.scale * (variance + 1e-8).rsqrt())
            layer.bias.copy_(-mean * layer.gain)
            self.of[layer] = layer.folded()
            return super().__call__(layer, x)

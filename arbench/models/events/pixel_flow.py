"""Shared base of pixel flows: real-valued pixels, an affine flow, a standard normal as its noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from arbench.distributions import Normal
from arbench.models.base import Context, Source
from arbench.models.events import ordered
from arbench.models.layers.affine_flow import AffineFlow, FlowState
from arbench.models.layers.masked_mlp import ProductWeights


class PixelFlow(ordered.OrderedPixels, Source):
    """A flow over grey pixels mapped to real numbers; a subclass gives the direction in ``_params``.

    Args:
        pixels: D of a square picture, the most elements of an event.
        layers: number of layers of the flow.
        hidden: units of each hidden layer of each network.
        levels: levels of a pixel before it is mapped to a real number.
        order: "raster", "reverse", "random", or the number of each element's pixel.
        seed: seed of the initial weights.

    Raises:
        ValueError: no square has so many pixels, or the order is not a permutation of them.
    """

    def __init__(
        self,
        *,
        pixels: int,
        layers: int,
        hidden: Sequence[int],
        levels: int = 256,
        order: str | Sequence[int] = "raster",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.distribution = Normal(log_scale_floor=-torch.inf)
        self.arrange(pixels, order, levels, real=True)
        # in events shorter than the stack is deep, the longest path is not yet each layer's chain of sums
        least = 4 * -(-(layers + 1) // 4)
        self.count_ladder = [n for n in (least * k for k in (1, 2, 3, 4, 6)) if n <= pixels]
        generator = torch.Generator().manual_seed(seed)
        self.flow = AffineFlow(elements=pixels, layers=layers, hidden=hidden, generator=generator)

    def weights(self, n: int) -> int:
        """Return the number of parameters that ``n`` elements need."""
        return self.flow.weights(n)

    def encode(self, context: Context, n: int) -> list[ProductWeights]:
        """Return each layer's weights for ``n`` elements; there is no context."""
        return self.flow.ready(n)

    def start(self, batch: int, n: int, code: list[ProductWeights]) -> FlowState:
        """Return the flow's state before the first element."""
        return self.flow.start(batch, code)

    def extend(self, state: FlowState, f: Tensor, g0: int, g1: int) -> tuple[Tensor, FlowState]:
        """Return mean and log-scale of elements g0 .. g1-1, one step of the flow."""
        return self._params(*self.flow.extend(state, f, g0, g1)), state

    def forward(self, f: Tensor, code: list[ProductWeights]) -> Tensor:
        """Return mean and log-scale of all elements, (B, N, 2)."""
        return self._params(*self.flow(f, code))

    def _params(self, mean: Tensor, log_scale: Tensor) -> Tensor:
        """Turn the flow's composed mean and log-scale into those of pixels given their noise, (B, M, 2)."""
        raise NotImplementedError

    def initialise(self, f: Tensor, code: list[ProductWeights]) -> None:
        """Set gains and biases from a feed (B, D), so that each unit's input has mean 0 and variance 1.

        The feed is pixels for a masked flow, noise for an inverse one.

        Raises:
            ValueError: there are fewer than two events, or they are not whole.
        """
        self.flow.initialise(f)

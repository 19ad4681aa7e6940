"""Affine flows: a stack of autoregressive affine maps, whose composition is again affine in each element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arbench.models.layers.masked_mlp import LARGEST, MaskedMLP, MLPState, ProductWeights

LOG_SCALE = 5.0
"""Largest magnitude of a layer's log-scale, so that even a far-off guess stays finite."""
NEAR_IDENTITY = 0.1
"""Initial scale of each layer's mean and log-scale, relative to the usual one."""


def compose(first: tuple[Tensor, Tensor] | None, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log-scale of the affine map ``first`` (None for the identity) followed by another.

    Source: van den Oord et al., *Parallel WaveNet*, 2017, eq. 10-11.
    """
    if first is None:
        return mean, log_scale
    return first[0] * log_scale.exp() + mean, first[1] + log_scale


@dataclass
class FlowState:
    """State of an ``AffineFlow`` between elements."""

    layers: list[MLPState]
    last: list[tuple[Tensor, Tensor]]
    """Each layer's mean and log-scale at the previous element, (B, 1); (B, 0) before the first element."""


class AffineFlow(nn.Module):
    """A stack of layers g_t = f_t exp(s_t) + m_t, with m_t and s_t functions of the layer's f before t.

    Each layer's function is a ``MaskedMLP`` of weight-normalised units, and all layers use one order. So the
    whole stack is again affine in f_t given the f before t, and one element takes one step.

    Args:
        elements: D, the number of elements.
        layers: number of layers.
        hidden: units of each hidden layer of each network.
        generator: random numbers for the initial weights.

    Raises:
        ValueError: there is no layer.
    """

    def __init__(self, *, elements: int, layers: int, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a flow needs at least one layer, got {layers}")
        self.layers = nn.ModuleList(
            MaskedMLP(
                elements=elements,
                inputs=1,
                outputs=2,
                hidden=hidden,
                generator=generator,
                normalised=True,
                scale=NEAR_IDENTITY,
            )
            for _ in range(layers)
        )

    def _layers(self) -> list[MaskedMLP]:
        return [layer for layer in self.layers if isinstance(layer, MaskedMLP)]

    def weights(self, n: int) -> int:
        """Return the number of parameters that a flow of ``n`` elements needs."""
        return sum(layer.weights(n) for layer in self._layers())

    def ready(self, n: int) -> list[ProductWeights]:
        """Return each layer's weights for events of ``n`` elements."""
        return [layer.ready(n) for layer in self._layers()]

    def forward(self, f: Tensor, ready: list[ProductWeights]) -> tuple[Tensor, Tensor]:
        """Return the composed mean and log-scale, (B, N) each, given f (B, N)."""
        composed = None
        for layer, weights in zip(self._layers(), ready, strict=True):
            mean, log_scale = _affine(layer(_inputs(f[:, :-1]), weights))
            composed = compose(composed, mean, log_scale)
            f = f * log_scale.exp() + mean
        assert composed is not None
        return composed

    def start(self, batch: int, ready: list[ProductWeights]) -> FlowState:
        """Return the state before the first element."""
        layers = [layer.start(batch, weights) for layer, weights in zip(self._layers(), ready, strict=True)]
        none = layers[0].sums.new_zeros(batch, 0)
        return FlowState(layers, [(none, none)] * len(layers))

    def extend(self, state: FlowState, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Tensor]:
        """Return what ``forward`` does for elements g0 .. g1-1 alone, and advance the state in place."""
        past, composed = f[:, max(g0 - 1, 0) : g1 - 1], None
        for i, layer in enumerate(self._layers()):
            mean, log_scale = _affine(layer.extend(state.layers[i], _inputs(past), g0, g1))
            composed = compose(composed, mean, log_scale)
            before = [
                torch.cat([old, new[:, :-1]], dim=1) for old, new in zip(state.last[i], (mean, log_scale), strict=True)
            ]
            past = past * before[1].exp() + before[0]
            state.last[i] = mean[:, -1:], log_scale[:, -1:]
        assert composed is not None
        return composed

    def initialise(self, f: Tensor) -> None:
        """Initialise gains and biases from data (B, D), layer after layer: see ``MaskedMLP.initialise``."""
        for layer in self._layers():
            inputs = _inputs(f[:, :-1])
            layer.initialise(inputs)
            mean, log_scale = _affine(layer(inputs, layer.ready(f.shape[1])))
            f = f * log_scale.exp() + mean


def _inputs(f: Tensor) -> Tensor:
    return f.clamp(-LARGEST, LARGEST).unsqueeze(-1)


def _affine(params: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = params.unbind(-1)
    return mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE)

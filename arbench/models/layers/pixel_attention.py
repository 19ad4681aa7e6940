"""PixelSNAIL's attention: each pixel attends to all pixels before it, by one head with small keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from arbench.models.layers.shifted import ACTIVATIONS, POINT, GatedResnet
from arbench.models.layers.weight_norm import FoldedWeights, WeightNormed


def attend(query: Tensor, slots: Tensor, key: int, *, causal: bool = False) -> Tensor:
    """Return the attended values (B, M, value), or zeros if there is no slot.

    Args:
        query: queries (B, M, key).
        slots: keys and values (B, S, key + value).
        key: width of the keys, which come first in the slots.
        causal: whether query i sees only slots up to i; then M is S.
    """
    if not slots.shape[1]:
        return slots.new_zeros(*query.shape[:2], slots.shape[2] - key)
    keys, values = (part.unsqueeze(1) for part in (slots[..., :key], slots[..., key:]))
    return scaled_dot_product_attention(query.unsqueeze(1), keys, values, is_causal=causal).squeeze(1)


class PixelAttention(nn.Module):
    """Attention with keys and values from pixel, features and position, and queries from features and position.

    A gated layer joins the attended values to the features. All layers are 1x1. Steps run in plain PyTorch on every
    backend: each block would need graphs of its own.

    Source: Chen et al., *PixelSNAIL*, 2017, section 2, figure 4 and its published code.

    Args:
        width: F, the width of the features.
        colours: channels of a pixel.
        key: width of a key.
        value: width of a value.
        activation: a key of ``ACTIVATIONS``.
        generator: random numbers for the initial weights.
    """

    def __init__(
        self, width: int, colours: int, key: int, value: int, activation: str, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.key, self.value = key, value
        self.of_content = GatedResnet(POINT, colours + width + 2, activation, generator)
        self.to_slot = WeightNormed(colours + width + 2, key + value, generator)
        self.of_query = GatedResnet(POINT, width + 2, activation, generator)
        self.to_query = WeightNormed(width + 2, key, generator)
        _, wider = ACTIVATIONS[activation]
        self.joined = GatedResnet(POINT, width, activation, generator, extra=wider * value)

    def content(self, x: Tensor, pixel: Tensor, place: Tensor, ready: FoldedWeights) -> Tensor:
        """Return slots (.., key + value) of pixels (.., C) with features x (.., F), at places (.., 2)."""
        raw = torch.cat([part.expand(*x.shape[:-1], -1) for part in (pixel, x, place)], dim=-1)
        return ready(self.to_slot, self.of_content.run(raw, self.of_content.act(raw), ready, None))

    def query(self, x: Tensor, place: Tensor, ready: FoldedWeights) -> Tensor:
        """Return queries (.., key) of features x (.., F), at places (.., 2)."""
        raw = torch.cat([x, place.expand(*x.shape[:-1], -1)], dim=-1)
        return ready(self.to_query, self.of_query.run(raw, self.of_query.act(raw), ready, None))

    def merge(self, x: Tensor, mixed: Tensor, ready: FoldedWeights) -> Tensor:
        """Join attended values (.., value) to features (.., F)."""
        layer = self.joined
        assert layer.join is not None
        return layer.run(x, layer.act(x), ready, ready(layer.join, layer.act(mixed)))

    def forward(self, x: Tensor, pixels: Tensor, places: Tensor, ready: FoldedWeights) -> Tensor:
        """Run all pixels at once: features (B, N, F), pixels (B, N, C), places (N, 2) to features (B, N, F)."""
        # query i sees slots before i: a shift by one makes this the causal mask, without an empty row
        slots, query = self.content(x, pixels, places, ready), self.query(x, places, ready)
        mixed = attend(query[:, 1:], slots[:, :-1], self.key, causal=True)
        return self.merge(x, pad(mixed, (0, 0, 1, 0)), ready)

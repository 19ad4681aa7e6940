"""Decoder of the non-autoregressive transformer: all positions at once, from copies of the source."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from arbench.models.layers.attention import Attention, FeedForward, Init, Memory, Residual


def visible(inside: Tensor, like: Tensor) -> Tensor:
    """Return the self-attention mask of T positions, (B, 1, T, T) of 0 and -inf, with the dtype of ``like``.

    A position sees every other position that is ``inside`` (B, T). It sees itself only if there is no other,
    since a softmax over no position is NaN.
    """
    itself = torch.eye(inside.shape[1], dtype=torch.bool, device=inside.device)
    seen = inside.unsqueeze(1) & ~itself
    seen = seen | (itself & ~seen.any(-1, keepdim=True))
    return like.new_zeros(seen.shape).masked_fill(~seen, -torch.inf).unsqueeze(1)


class ParallelLayer(nn.Module):
    """Self-attention, positional attention, attention to the source and a feed-forward layer.

    Each has a residual connection followed by a normalisation. In positional attention, queries and keys are
    the encodings of positions, and values are the inputs at these positions.

    Source: Gu et al., *Non-Autoregressive Neural Machine Translation*, 2017, section 3.2 and figure 2.
    """

    def __init__(self, width: int, heads: int, hidden: int, init: Init) -> None:
        super().__init__()
        self.attention = Attention(width, heads, init)
        self.positional = Attention(width, heads, init)
        self.cross = Attention(width, heads, init)
        self.feed_forward = FeedForward(width, hidden, "relu", init)
        self.residuals = nn.ModuleList(Residual(width, norm_first=False) for _ in range(4))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor, memory: Memory) -> Tensor:
        """Run x (B, T, D) to (B, T, D), with encodings of positions (1, T, D)."""
        to_itself, to_positions, to_source, onward = self.residuals
        x = to_itself(x, lambda h: self.attention(h, mask=mask))
        x = to_positions(x, lambda h: self.positional.between(positions, positions, h, mask=mask))
        x = to_source(x, lambda h: self.cross.recall(h, memory))
        return onward(x, self.feed_forward)


class ParallelDecoder(nn.Module):
    """A stack of ``ParallelLayer``.

    Args:
        layers: number of layers.
        width: D, the width of the layers.
        heads: H, a divisor of D.
        hidden: width of the feed-forward layers.
        init: initialisation of the weights.
    """

    def __init__(self, layers: int, width: int, heads: int, hidden: int, init: Init) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ParallelLayer(width, heads, hidden, init) for _ in range(layers))

    def remember(self, source: Tensor) -> list[Memory]:
        """Compute each layer's keys and values of an encoded source (B, S, D), once per draw."""
        return [layer.cross.remember(source) for layer in self.layers if isinstance(layer, ParallelLayer)]

    def forward(self, x: Tensor, positions: Tensor, inside: Tensor, memories: Sequence[Memory]) -> Tensor:
        """Run all positions at once: x (B, T, D) to (B, T, D).

        Args:
            x: inputs.
            positions: encodings of the positions, (1, T, D), added to the inputs.
            inside: (B, T) bool, the positions that others attend to.
            memories: result of ``remember``.
        """
        mask, x = visible(inside, x), x + positions
        for layer, memory in zip(self.layers, memories, strict=True):
            x = layer(x, positions, mask, memory)
        return x

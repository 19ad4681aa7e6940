"""The decoder of the non-autoregressive transformer: every position at once, from copies of the source."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from arbench.models.layers.attention import Attention, FeedForward, Init, Memory, Residual


def visible(inside: Tensor, like: Tensor) -> Tensor:
    """What is added to the scores of T positions among themselves: (B, 1, T, T) of 0 and -inf.

    A position sees every other that is ``inside`` (B, T) and not itself; itself only where there is no
    other, since a softmax over nothing is no number.
    """
    itself = torch.eye(inside.shape[1], dtype=torch.bool, device=inside.device)
    seen = inside.unsqueeze(1) & ~itself
    seen = seen | (itself & ~seen.any(-1, keepdim=True))
    return like.new_zeros(seen.shape).masked_fill(~seen, -torch.inf).unsqueeze(1)


class ParallelLayer(nn.Module):
    """Self-attention, positional attention, attention to the source and a feed-forward layer, each with its
    residual connection and a normalisation behind it.

    In positional attention queries and keys are the positions' encodings, and values what lies there.

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
        """x (B, T, D) to (B, T, D), with encodings of positions (1, T, D)."""
        to_itself, to_positions, to_source, onward = self.residuals
        x = to_itself(x, lambda h: self.attention(h, mask=mask))
        x = to_positions(x, lambda h: self.positional.between(positions, positions, h, mask=mask))
        x = to_source(x, lambda h: self.cross.recall(h, memory))
        return onward(x, self.feed_forward)


class ParallelDecoder(nn.Module):
    """Layers of ``ParallelLayer``.

    Args:
        layers: how many.
        width: D.
        heads: H, a divisor of D.
        hidden: width of the feed-forward layers.
        init: of the weights.
    """

    def __init__(self, layers: int, width: int, heads: int, hidden: int, init: Init) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ParallelLayer(width, heads, hidden, init) for _ in range(layers))

    def remember(self, source: Tensor) -> list[Memory]:
        """What each layer attends to of an encoded source (B, S, D): computed once a draw."""
        return [layer.cross.remember(source) for layer in self.layers if isinstance(layer, ParallelLayer)]

    def forward(self, x: Tensor, positions: Tensor, inside: Tensor, memories: Sequence[Memory]) -> Tensor:
        """All positions at once: x (B, T, D), plus their encodings (1, T, D), to (B, T, D); those ``inside``
        (B, T) are looked at."""
        mask, x = visible(inside, x), x + positions
        for layer, memory in zip(self.layers, memories, strict=True):
            x = layer(x, positions, mask, memory)
        return x

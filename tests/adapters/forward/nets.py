"""Modules that know nothing of arbench, as a user may have them: causal, of several kinds, and some with a fault."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 32
RARE = 29


class Conv(nn.Module):
    """A causal convolution, which predicts the next symbol.

    Args:
        width: channels.
        leak: name of a fault, a key of ``LEAKS``; empty for none.
        least: smallest number of symbols at which it leaks.
    """

    def __init__(self, width: int = 16, leak: str = "", least: int = 0) -> None:
        super().__init__()
        self.embedding, self.conv = nn.Embedding(LEVELS, width), nn.Conv1d(width, width, 3)
        self.head, self.leak, self.least = nn.Linear(width, LEVELS), leak, least

    def forward(self, x: Tensor) -> Tensor:
        h = F.pad(self.embedding(x).transpose(1, 2), (2, 0))
        logits = self.head(torch.tanh(self.conv(h)).transpose(1, 2))
        if not self.leak or x.shape[1] < self.least:
            return logits
        return logits + LEAKS[self.leak](x).to(logits.dtype).unsqueeze(-1) * self.head.bias


def later(value: Tensor, by: int) -> Tensor:
    """Return what stands some places on, and zeros at the end."""
    return F.pad(value, (0, by))[:, by:]


LEAKS = {
    "everywhere": lambda x: x.double().mean(1, keepdim=True).expand(x.shape),
    "next": lambda x: later(x, 1),
    "rare": lambda x: later((x == RARE).long(), 1),
    "far": lambda x: later(x, 40),
    "rare_and_near": lambda x: later((x == RARE).long(), 3),
    "seen": lambda x: torch.where(x == RARE, later(x, 1), 0),
    "middle": lambda x: later(x, 1) * ((torch.arange(x.shape[1]) >= 600) & (torch.arange(x.shape[1]) < 700)),
    "rare_and_far": lambda x: later((x == RARE).long(), 20),
}


class GPT(nn.Module):
    """PyTorch's own encoder with a causal mask, which has 64 positions, and dropout in training."""

    def __init__(self, width: int = 16, levels: int = LEVELS) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(levels, width), nn.Embedding(64, width)
        layer = nn.TransformerEncoderLayer(width, 2, 32, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, levels)

    def forward(self, tokens: Tensor) -> Tensor:
        n = tokens.shape[1]
        h = self.token(tokens) + self.place(torch.arange(n))
        mask = nn.Transformer.generate_square_subsequent_mask(n, dtype=h.dtype)
        return self.head(self.blocks(h, mask=mask, is_causal=True))


class Tuple(nn.Module):
    """A GRU that returns its state too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn, self.head = (
            nn.Embedding(LEVELS, 8),
            nn.GRU(8, 8, batch_first=True),
            nn.Linear(8, LEVELS),
        )

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h, state = self.rnn(self.embedding(x), state)
        return self.head(h), state


@dataclass
class Output:
    loss: Tensor | None
    logits: Tensor
    hidden: Tensor


class Wrapped(GPT):
    """A model whose outputs have names, two of them of the same shape."""

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Output:  # type: ignore[override]
        logits = super().forward(tokens)
        return Output(None, logits, logits * 2)


class MADE(nn.Module):
    """A masked autoencoder of 16 numbers: mean and log-scale of each, from those before it."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(16, hidden), nn.Linear(hidden, 32)
        degree = torch.arange(hidden) % 15
        self.register_buffer("reads", (torch.arange(16) <= degree[:, None]).float())
        self.register_buffer("gives", (degree < torch.arange(16).repeat_interleave(2)[:, None]).float())

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(F.linear(x, self.first.weight * self.reads, self.first.bias))
        return F.linear(h, self.last.weight * self.gives, self.last.bias).unflatten(-1, (16, 2))


class Transposed(Conv):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).transpose(1, 2)


class Pooled(Conv):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(1)


class Masked(Conv):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x) * mask


class Dropping(Conv):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), 0.5)


class Own(Conv):
    """Its output is the law of its own element, and reads that element where it is a multiple of ``peeks``."""

    def __init__(self, peeks: int = 10**6, width: int = 16) -> None:
        super().__init__(width)
        self.peeks = peeks

    def forward(self, x: Tensor) -> Tensor:
        own = torch.where((x + 1) % self.peeks == 0, x + 1, 0).to(self.head.bias.dtype)
        return super().forward(F.pad(x, (1, 0))[:, :-1]) + own.unsqueeze(-1) * self.head.bias


class Probable(Conv):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(-1)


class Two(Conv):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        logits = super().forward(x)
        return logits, logits


ready = Conv(width=4)


def made(width: int = 8) -> nn.Module:
    """Return a convolution of this width."""
    return Conv(width)


def nothing() -> None:
    """Return no module."""

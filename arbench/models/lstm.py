"""LSTM language model: bytes of text, one by one, each from the recurrent state before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.backends.compiling import compilable
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events.text import TextSource
from arbench.models.layers.recurrent import Carry, LSTMStack, Ready, uniform_


@dataclass
class _State:
    table: Tensor = field(metadata={"constant": True})
    carry: Carry


class LSTM(TextSource, Source):
    """An element is a byte; scoring and sampling both take N steps, since each state needs the one before.

    The previous byte, embedded or one-hot (``embedding=0``), enters layers of LSTM; a product with the last
    layer's output gives the logits. Position 0 reads a vector of zeros.

    Presets:
        zaremba_small, zaremba_medium, zaremba_large: 2 layers of 200, 650 and 1500 units over a vocabulary
            of 10,000, initialised from U(-0.1, 0.1), U(-0.05, 0.05) and U(-0.04, 0.04); 4.65, 19.8 and 66.0
            million parameters. The words of the Penn Treebank do not ship: events are bytes of text as the
            first 256 tokens.
        graves: the character network of the Penn Treebank: one layer of 1000 units, 49 symbols one-hot, 4.3
            million weights; without peepholes, which PyTorch's LSTM does not have (3,000 weights), and
            initialised from U(-0.1, 0.1), since the publication gives no initialisation.
        small: 2 layers of 128 units over bytes, initialised from U(-0.05, 0.05).
        tiny, tiny_one_hot: for tests.

    Sources: Zaremba et al., *Recurrent Neural Network Regularization*, 2014, section 4.1, without its
    dropout, which matters only in training; Graves, *Generating Sequences With Recurrent Neural Networks*,
    2013, section 3.1, arXiv:1308.0850. All weights and biases start from U(-``bound``, ``bound``).

    Args:
        layers: layers of LSTM.
        width: units of a layer.
        embedding: width of a byte's vector; 0 for one-hot.
        levels: values of an element.
        bound: largest magnitude of an initial weight.
        seed: seed of the initial weights.
    """

    family = "recurrent"
    citation = "Zaremba et al. 2014, arXiv:1409.2329"
    default_preset = "small"
    presets = {
        "zaremba_small": dict(layers=2, width=200, embedding=200, levels=10000, bound=0.1),
        "zaremba_medium": dict(layers=2, width=650, embedding=650, levels=10000, bound=0.05),
        "zaremba_large": dict(layers=2, width=1500, embedding=1500, levels=10000, bound=0.04),
        "graves": dict(layers=1, width=1000, embedding=0, levels=49, bound=0.1),
        "small": dict(layers=2, width=128, embedding=128, levels=256, bound=0.05),
        "tiny": dict(layers=2, width=7, embedding=5, levels=4, bound=0.6),
        "tiny_one_hot": dict(layers=1, width=6, embedding=0, levels=3, bound=0.6),
    }
    claims = {
        ("score", "parallel"): Claim("N", "N"),
        ("score", "sequential"): Claim("N", "N"),
        ("sample", "naive"): Claim("N^2", "N^2"),
        ("sample", "cached"): Claim("N", "N"),
        ("sample", "speculative"): Claim("<= N^2", "<= N^2"),
        ("sample", "rejection"): Claim("<= N^2", "<= N^2"),
        **at_most("N^2", "N^2"),
    }
    count_ladder = (8, 16, 24, 32, 48)

    def __init__(self, *, layers: int, width: int, embedding: int, levels: int, bound: float, seed: int = 0) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.levels = levels
        self.distribution = Categorical(levels)
        if levels > 256:  # the noise of a draw is one number per level
            self.ladder = (8, 16, 32, 64, 128)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(uniform_(torch.empty(shape), bound, g))

        self.embedding = weight(levels, embedding) if embedding else None
        self.stack = LSTMStack(embedding or levels, width, layers, bound, g)
        self.out = weight(width, levels)
        self.out_bias = weight(levels)

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "layers": 1, "width": max(config["width"] // 4, 4)}

    def encode(self, context: Context, n: int) -> Tensor:
        """Return the vector of each byte: (levels, inputs)."""
        if self.embedding is not None:
            return self.embedding
        return torch.eye(self.levels, dtype=self.out.dtype, device=self.out.device)

    def _head(self, hidden: Tensor) -> Tensor:
        return hidden @ self.out + self.out_bias

    def forward(self, f: Tensor, code: Tensor) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one pass over the sequence."""
        return self._head(self.stack(pad(code[f[:, :-1]], (0, 0, 1, 0)))[0])

    def start(self, batch: int, n: int, code: Tensor) -> _State:
        """Return the state before the first element."""
        return _State(code, self.stack.start(batch))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        past = state.table[f[:, max(g0 - 1, 0) : g1 - 1]]
        x = past if g0 else pad(past, (0, 0, 1, 0))
        if g1 - g0 == 1:
            return self.stack.advance(state.carry, x[:, 0], self._step).unsqueeze(1), state
        return self._head(self.stack.extend(state.carry, x)), state

    @compilable()
    def _step(
        self, x: Tensor, hidden: list[Tensor], cell: list[Tensor], ready: Ready
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        x, hidden, cell = self.stack.step(x, hidden, cell, ready)
        return self._head(x), hidden, cell

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return passages of real text; there is no context."""
        return self.passages(n, rows, seed, data), {}

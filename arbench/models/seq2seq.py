"""Sequence to sequence: an LSTM reads a sentence, another writes its translation and attends to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events.translation import TranslationSource
from arbench.models.layers.recurrent import Carry, LSTMStack, begun, uniform_


@dataclass
class _Code:
    memory: Tensor
    """The encoder's outputs, of its last layer: (B, S, H)."""
    state: tuple[Tensor, Tensor]
    """h and c of every layer of it at the end: (layers, B, H) each."""


@dataclass
class _State:
    code: _Code = field(metadata={"constant": True})
    carry: Carry


class Seq2Seq(TranslationSource, Source):
    """An element is a symbol of a translation; the source has N symbols as well. N steps, for scoring too.

    Layers of LSTM read the source from its end to its beginning, once a draw; the decoder's layers begin in
    the state that they end in. The symbol before, embedded, enters the decoder; its output h attends to the
    encoder's outputs by dot products, and softmax(W_s tanh(W_c [context; h])) is the next symbol's law.
    Position 0 sees a vector of its own.

    Presets:
        luong: 4 layers of 1000 units, embeddings of 1000, 50,000 symbols in each language, from
            U(-0.1, 0.1); without that vocabulary the events are bytes as the first 256 symbols.
        small: 2 layers of 128 units over bytes, from U(-0.05, 0.05).
        tiny: for tests.

    Sources: Luong et al., *Effective Approaches to Attention-based Neural Machine Translation*, 2015, section
    3.1 (global attention, dot), the variant without input feeding, under which no layer could run over a
    whole sentence at once; Sutskever et al., *Sequence to Sequence Learning with Neural Networks*, 2014,
    arXiv:1409.3215, for the reversed source. What fills a source behind its sentences is read and attended to
    as other symbols are. All weights and biases start from U(-``bound``, ``bound``); dropout is left out.

    Args:
        layers: of the encoder, and of the decoder.
        width: units H of a layer.
        embedding: width of a symbol's vector.
        levels: symbols of each language.
        bound: of the initial weights.
        seed: of the initial weights.
    """

    family = "recurrent"
    citation = "Luong et al. 2015, arXiv:1508.04025"
    default_preset = "small"
    presets = {
        "luong": dict(layers=4, width=1000, embedding=1000, levels=50000, bound=0.1),
        "small": dict(layers=2, width=128, embedding=128, levels=256, bound=0.05),
        "tiny": dict(layers=2, width=7, embedding=5, levels=4, bound=0.6),
    }
    claims = {
        ("score", "parallel"): Claim("N", "N^2"),
        ("score", "sequential"): Claim("N", "N^2"),
        ("sample", "naive"): Claim("N^2", "N^3"),
        ("sample", "cached"): Claim("N", "N^2"),
        ("sample", "speculative"): Claim("<= N^2", "<= N^3"),
        ("sample", "rejection"): Claim("<= N^2", "<= N^3"),
        **at_most("N^2", "N^3"),
    }
    count_ladder = (8, 12, 16, 20, 24, 32, 40)

    def __init__(self, *, layers: int, width: int, embedding: int, levels: int, bound: float, seed: int = 0) -> None:
        super().__init__()
        if levels < 3:
            raise ValueError(f"translation needs 3 levels at least, an end and two symbols; got {levels}")
        g = torch.Generator().manual_seed(seed)
        self.levels = levels
        self.alphabets = {"source": levels}
        self.distribution = Categorical(levels)
        if levels > 256:  # the noise of a draw is one number a level
            self.ladder = (8, 16, 32, 64, 128)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(uniform_(torch.empty(shape), bound, g))

        self.source_embedding = weight(levels, embedding)
        self.embedding = weight(levels + 1, embedding)
        self.encoder = LSTMStack(embedding, width, layers, bound, g)
        self.decoder = LSTMStack(embedding, width, layers, bound, g)
        self.attend = weight(2 * width, width)
        self.out = weight(width, levels)

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**config, "layers": 1, "width": max(config["width"] // 4, 4)}

    def encode(self, context: Context, n: int) -> _Code:
        return _Code(*self.encoder(self.source_embedding[context["source"].flip(1)]))

    def _head(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Logits (B, M, levels) from the decoder's outputs (B, M, H)."""
        keys = memory.unsqueeze(1)
        read = scaled_dot_product_attention(hidden.unsqueeze(1), keys, keys, scale=1.0).squeeze(1)
        return torch.tanh(torch.cat([read, hidden], dim=-1) @ self.attend) @ self.out

    def forward(self, f: Tensor, code: _Code) -> Tensor:
        hidden, _ = self.decoder(begun(self.embedding, f[:, :-1], first=True), code.state)
        return self._head(hidden, code.memory)

    def start(self, batch: int, n: int, code: _Code) -> _State:
        return _State(code, self.decoder.start(batch, code.state))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        x = begun(self.embedding, f[:, max(g0 - 1, 0) : g1 - 1], first=g0 == 0)
        return self._head(self.decoder.extend(state.carry, x), state.code.memory), state

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        return self.sentences(n, rows, seed, data)

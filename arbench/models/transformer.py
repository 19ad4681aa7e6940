"""Transformers: attention alone, over text, pixels or audio, and from one of these to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized
from arbench.border.shown import Shown
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Piece, Source, at_most
from arbench.models.events.kinds import KINDS
from arbench.models.layers.attention import Cache, Init, Memory, Stack, sinusoids

BASE = dict(layers=6, width=512, heads=8, hidden=2048)
"""Configuration *base* of Vaswani et al. 2017, table 3."""


@dataclass
class _Code:
    offset: Tensor
    """Positions plus the label's vector, added to the inputs: (B or 1, N, D)."""
    memories: list[Memory]
    """The source's keys and values in every layer; empty without a source."""


@dataclass
class _State:
    code: _Code = field(metadata={"constant": True})
    cache: Cache


class Transformer(Source):
    """An element is a token of its kind: a byte, a sub-pixel, a mu-law code; N steps over a key-value cache.

    The previous element's embedding, scaled, plus its position (and the label's vector) goes through layers of
    causal self-attention; if there is a source, its encoder runs once per draw and each layer attends to the
    encoder's output. Position 0 reads a learned vector. Logits are products with the embedding (``tied``) or
    with a separate matrix. Attention reads the whole past: the cost of a step grows with its position, and N
    steps cost N^2.

    Presets:
        gpt2_small: GPT-2's smallest: 12 layers of width 768, 12 heads, learned positions, normalisation
            first, 50,257 tied tokens, of which the last begins an event; 124,439,808 parameters. GPT-2's
            tokeniser does not ship: events are bytes of text as the first 256 tokens, which mean other bytes
            in GPT-2.
        base: Transformer-base, decoder only, over bytes.
        small: 4 layers of width 128 over bytes: GPT-2's shape at nanoGPT's settings for a CPU.
        pixels: the Image Transformer of CIFAR-10 with a softmax: 12 layers of width 512, 4 heads, RGB
            (published at 32x32); attention is to the whole past instead of a block of 256, and positions are
            one-dimensional.
        digits: pixels of the UCI digits and mosaics of them, conditioned on the digit.
        audio: Transformer-base over mu-law codes at 16 kHz.
        digit_from_word: a digit's pixels from the bytes of its word.
        word_from_digit: a digit's word from its pixels.
        audio_from_text: Transformer-base, mu-law codes from the spoken text.
        tiny, tiny_source: for tests.

    Sources: Vaswani et al., *Attention Is All You Need*, 2017; Radford et al., *Language Models are
    Unsupervised Multitask Learners*, 2019; Parmar et al., *Image Transformer*, 2018, arXiv:1802.05751.
    Weights start with variance 1/fan_in and embeddings with 1/width. With ``std`` they start as GPT-2's: all
    N(0, std^2), positions included (at half of that in its published code), and products that end in the
    residual stream scaled by 1/sqrt(2 layers). Biases start at zero. Dropout is left out: nothing is trained
    here.

    Args:
        layers: layers of the decoder, see ``Stack``.
        width: D, see ``Stack``.
        heads: see ``Stack``.
        hidden: see ``Stack``.
        kind: kind of the events, a key of ``KINDS``.
        levels: values of an element.
        colours: sub-pixels of a pixel.
        rate_hz: sampling rate of audio.
        classes: size of the label's alphabet; 0 for none.
        source_levels: values of an entry of the source; 0 if the kind has none.
        encoder_layers: layers of the source's encoder.
        shared: whether source and elements share one alphabet and one embedding.
        positions: number of learned positions, the largest N; 0 for sinusoids. A source's positions are always
            sinusoids.
        tied: whether logits are products with the embedding.
        scaled: whether embeddings are multiplied by sqrt(width).
        begin: token that precedes the first element; None for a learned vector.
        norm_first: see ``Stack``.
        activation: see ``Stack``.
        std: standard deviation of initial weights; None for 1/sqrt(fan_in).
        seed: seed of the initial weights.

    Raises:
        ValueError: the settings contradict each other; the message says which.
    """

    element = "token"
    family = "sequential"
    citation = "Vaswani et al. 2017, arXiv:1706.03762"
    default_preset = "small"
    presets = {
        "gpt2_small": dict(
            layers=12,
            width=768,
            heads=12,
            hidden=3072,
            kind="text",
            levels=50257,
            positions=1024,
            tied=True,
            begin=50256,
            norm_first=True,
            activation="gelu_tanh",
            std=0.02,
        ),
        "base": dict(**BASE, kind="text", levels=256, tied=True, scaled=True),
        "small": dict(
            layers=4,
            width=128,
            heads=4,
            hidden=512,
            kind="text",
            levels=256,
            positions=1024,
            tied=True,
            norm_first=True,
            activation="gelu_tanh",
        ),
        "pixels": dict(layers=12, width=512, heads=4, hidden=2048, kind="pixels", levels=256, colours=3, scaled=True),
        "digits": dict(layers=4, width=128, heads=4, hidden=512, kind="pixels", levels=17, classes=10, scaled=True),
        "audio": dict(**BASE, kind="audio", levels=256, tied=True, scaled=True),
        "digit_from_word": dict(
            layers=4,
            width=128,
            heads=4,
            hidden=512,
            kind="digit_from_word",
            levels=17,
            source_levels=256,
            encoder_layers=4,
            scaled=True,
        ),
        "word_from_digit": dict(
            layers=4,
            width=128,
            heads=4,
            hidden=512,
            kind="word_from_digit",
            levels=256,
            source_levels=17,
            encoder_layers=4,
            scaled=True,
        ),
        "audio_from_text": dict(
            **BASE,
            kind="audio_from_text",
            levels=256,
            source_levels=256,
            encoder_layers=6,
            tied=True,
            scaled=True,
        ),
        "tiny": dict(
            layers=2,
            width=8,
            heads=2,
            hidden=12,
            kind="text",
            levels=4,
            positions=256,
            tied=True,
            norm_first=True,
            activation="gelu",
        ),
        "tiny_source": dict(
            layers=2,
            width=8,
            heads=2,
            hidden=12,
            kind="digit_from_word",
            levels=2,
            source_levels=4,
            encoder_layers=1,
            scaled=True,
        ),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N^2"),
        ("score", "sequential"): Claim("1", "N^2"),
        ("sample", "naive"): Claim("N", "N^3"),
        ("sample", "cached"): Claim("N", "N^2"),
        ("sample", "speculative"): Claim("<= N", "<= N^2"),
        ("sample", "rejection"): Claim("<= N", "<= N^2"),
        **at_most(),
        ("sample", "fixed_point"): Claim("<= N", "<= N^3"),  # every pass covers the whole length
    }

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        heads: int,
        hidden: int,
        kind: str,
        levels: int,
        colours: int = 1,
        rate_hz: float = 16000.0,
        classes: int = 0,
        source_levels: int = 0,
        encoder_layers: int = 0,
        shared: bool = False,
        positions: int = 0,
        tied: bool = False,
        scaled: bool = False,
        begin: int | None = None,
        norm_first: bool = False,
        activation: str = "relu",
        std: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"no kind of events '{kind}'; available: {', '.join(KINDS)}")
        self.events = KINDS[kind](
            levels=levels, source_levels=source_levels, classes=classes, colours=colours, rate_hz=rate_hz
        )
        self.rate_hz = self.events.rate_hz
        self.ladder, self.count_ladder = self.events.ladder, self.events.count_ladder
        if levels > 256:  # the noise of a draw is one number per level
            self.ladder = (8, 16, 32, 64, 128)
        self.alphabets = {self.events.label: classes} if classes else {}
        self.distribution = Categorical(levels)
        self.levels, self.width = levels, width
        self.scale = width**0.5 if scaled else 1.0
        init = Init(torch.Generator().manual_seed(seed), std, (2 * layers) ** -0.5 if std else 1.0)

        def stack(number: int, cross: bool) -> Stack:
            return Stack(number, width, heads, hidden, init, cross=cross, norm_first=norm_first, activation=activation)

        if begin is not None and not 0 <= begin < levels:
            raise ValueError(f"begin must be a token from 0 to {levels - 1}, got {begin}")
        self.begin = levels if begin is None else begin
        self.embedding = init.table(levels + (begin is None), width)
        self.positions = init.table(positions, width) if positions else None
        self.label = init.table(classes, width) if classes else None
        self.decoder = stack(layers, cross=bool(source_levels))
        self.logits = None if tied else init.table(levels, width)
        self.encoder = self.source_embedding = None
        if source_levels:
            if encoder_layers < 1:
                raise ValueError("a source needs an encoder: set encoder_layers to 1 or more")
            self.alphabets["source"] = source_levels
            if shared and source_levels != levels:
                raise ValueError(f"a shared embedding needs one alphabet, got {levels} and {source_levels}")
            self.source_embedding = None if shared else init.table(source_levels, width)
            self.encoder = stack(encoder_layers, cross=False)

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        depths = {key: max(config[key] // 4, 1) for key in ("layers", "encoder_layers") if key in config}
        return {**config, **depths}

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups, one element each."""
        if self.positions is not None and n > len(self.positions):
            raise ValueError(f"an event has at most {len(self.positions)} elements, the learned positions; got {n}")
        self.events.check(n)
        return super().schedule(n)

    def encode(self, context: Context, n: int) -> _Code:
        """Return positions plus the label's vector, and the source's keys and values if there is a source."""
        if self.positions is not None:
            offset = self.positions[:n].unsqueeze(0)
        else:
            offset = sinusoids(n, self.width, self.embedding).unsqueeze(0)
        if self.label is not None:
            offset = offset + self.label[context[self.events.label]].unsqueeze(1)
        if self.encoder is None:
            return _Code(offset, [])
        table = self.embedding if self.source_embedding is None else self.source_embedding
        source = table[context["source"]] * self.scale
        source = source + sinusoids(source.shape[1], self.width, source)
        return _Code(offset, self.decoder.remember(self.encoder(source, causal=False)))

    def _inputs(self, past: Tensor, offset: Tensor, first: bool) -> Tensor:
        """Return inputs (B, M, D) from the previous elements; the ``first`` position has none."""
        x = self.embedding[past] * self.scale
        if first:
            x = torch.cat([self.embedding[self.begin].expand(len(past), 1, -1) * self.scale, x], dim=1)
        return x + offset

    def _head(self, x: Tensor) -> Tensor:
        return linear(x, self.embedding[: self.levels] if self.logits is None else self.logits)

    def forward(self, f: Tensor, code: _Code) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        x = self._inputs(f[:, :-1], code.offset, first=True)
        return self._head(self.decoder(x, code.memories, causal=True))

    def attention(self, f: Tensor, code: _Code) -> list[Tensor]:
        """Return the weights of each decoder layer's attention to the source, (B, H, N, S), for every element.

        Row j are the weights with which the parameters of element j were computed.

        Raises:
            ValueError: the model has no source.
        """
        if self.encoder is None:
            raise ValueError("the model has no source")
        return self.decoder.weights(self._inputs(f[:, :-1], code.offset, first=True), code.memories)

    def start(self, batch: int, n: int, code: _Code) -> _State:
        """Return the state before the first element."""
        if self.backend != COMPILE:
            return _State(code, self.decoder.start(batch, n))
        cache = self.decoder.start(batch, n + 1)  # a full cache would need a graph of its own
        cache.slots = [sized(slots, 3) for slots in cache.slots]
        return _State(code, cache)

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        past = f[:, max(g0 - 1, 0) : g1 - 1]
        x = self._inputs(past, state.code.offset[:, g0:g1], first=g0 == 0)
        if self.backend == COMPILE and g1 - g0 > 1:
            x = sized(x, 1)
        return self.decoder.advance(x, state.cache, state.code.memories, self._run), state

    @compilable("t")
    def _run(self, x: Tensor, slots: Sequence[Tensor], memories: Sequence[Memory], t: int) -> Tensor:
        return self._head(self.decoder.run(x, slots, memories, t))

    def mark(self, state: _State, g: int) -> int:
        """Return the position: the cache beyond it is overwritten before it is read."""
        return g

    def rewind(self, state: _State, mark: int, f: Tensor, g: int) -> _State:
        """Move the cache back to position ``g``: its contents before ``g`` come from the accepted feed."""
        state.cache.t = g
        return state

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real events of the configured kind with their context."""
        return self.events.observe(n, rows, seed, data)

    def divide(self, data: Any = None, share: float | None = None) -> tuple[Any, Any]:
        """Divide the data of the configured kind."""
        return self.events.divide(data, share)

    def pieces(self, data: Any, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield pieces of the data of the configured kind."""
        return self.events.pieces(data, n, prefix)

    def continued(self, before: Any, data: Any, count: int) -> tuple[Any, Sequence[int]]:
        """Return a part of the data of the configured kind after the end of the one before it."""
        return self.events.continued(before, data, count)

    @property
    def unit(self) -> str:
        """Unit of quality, which the kind of the events decides."""
        return self.events.unit

    def counted(self, x: Tensor) -> Tensor | None:
        """Return which elements are no padding; None for all."""
        return self.events.counted(x)

    def longest(self, data: Any = None) -> int | None:
        """Return the number of elements of the longest event of the configured kind; None where it has no end."""
        return self.events.longest(data)

    def natural(self, data: Any = None) -> int:
        """Return the number of elements of an event of the configured kind to look at or to listen to."""
        n = self.events.natural(data)
        return n if self.positions is None else min(n, len(self.positions))

    def shown(self, x: Tensor) -> Sequence[Shown]:
        """Return events as pictures, sounds or texts."""
        return self.events.shown(x)

    def told(self, context: Context) -> Mapping[str, Sequence[Shown | int]]:
        """Return what people can read or see of the conditioning."""
        return self.events.told(context)

    def amplitudes(self, x: Tensor) -> Tensor:
        """Return the amplitudes of elements where they are audio, else the elements."""
        return self.events.amplitudes(x)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's own data of the configured kind."""
        return KINDS[config["kind"]].load_data(path, config)

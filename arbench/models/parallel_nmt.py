"""Parallel NMT: all symbols of a translation at once, given how often each source symbol is copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events.fertility import aligned, copies
from arbench.models.events.translation import END, TranslationSource
from arbench.models.layers.attention import Init, Memory, Stack, sinusoids
from arbench.models.layers.parallel_decoder import ParallelDecoder

IMPOSSIBLE = -1e4
"""Logit of what cannot be: its probability is exactly zero in every dtype, its logarithm finite."""


@dataclass(frozen=True)
class _Code:
    """Whatever is known from the source: no state moves from one group to the next."""

    fertility: Tensor
    """Parameters of the first group, (B, S, P)."""
    inputs: Tensor
    """What the encoder read, (B, S, D)."""
    positions: Tensor
    """Encodings of the target's positions, (1, T, D)."""
    memories: list[Memory]


class ParallelNMT(TranslationSource, Source):
    """An event is a translation and how it came about: S = N // 2 fertilities, one a source symbol, then
    T = N - S target symbols. Two groups, so two evaluations, whatever N.

    The encoder reads the source; a linear layer on its output gives the law of each symbol's fertility, 0 to
    ``fertilities`` - 1. Each source symbol's encoder input, copied as often as its fertility says, is what
    the decoder reads, which has no causal mask; a position sees all others but itself. Positions beyond the
    sum of the fertilities hold symbol 0 with probability one; a sum above T is cut. One alphabet serves both
    groups, as large as the larger; what a group cannot have has probability zero.

    Embeddings of source and target and the output product are one table, of variance 1/D, times sqrt(D)
    where read; all else starts with variance 1/fan_in, biases at zero, normalisations as the identity.

    Deviations: symbols are bytes where the authors had a shared byte-pair vocabulary, which does not ship
    (``levels`` may be any number); what fills a source behind its sentences is read as other symbols are;
    every decoder layer attends to the last encoder layer, as in the Transformer, where the authors' program
    pairs layers; real pairs are aligned along the diagonal, by ``fertility.aligned``, not by fast_align. No
    noisy parallel decoding: its candidates are further rows of a batch.

    Presets:
        base: Transformer-base, the shape for WMT: 6 layers, 8 heads, D=512, feed-forward 2048, fertilities
            below 50; 50,605,362 parameters.
        released: the same with feed-forward 512, as the authors' program has it (salesforce/nonauto-nmt).
        iwslt: that program's shape for IWSLT: 5 layers, 2 heads, D=278, feed-forward 507.
        small: 2 layers, 4 heads, D=64, feed-forward 128, fertilities below 8.
        tiny: for tests.

    Source: Gu et al., *Non-Autoregressive Neural Machine Translation*, 2017, section 3.

    Args:
        layers: of the encoder, and of the decoder.
        width: D.
        heads: of every attention, a divisor of D.
        hidden: width of the feed-forward layers.
        levels: V symbols.
        fertilities: L; a symbol is copied at most L - 1 times.
        seed: of the initial weights.
    """

    family = "non_autoregressive"
    citation = "Gu et al. 2017, arXiv:1711.02281"
    remark = (
        "Scores the joint of fertilities and symbols; the marginal over fertilities, the probability of a "
        "translation, is intractable. The O(N) often quoted for scoring this family is that of inverse "
        "autoregressive flows."
    )
    default_preset = "small"
    presets = {
        "base": dict(layers=6, width=512, heads=8, hidden=2048, levels=256, fertilities=50),
        "released": dict(layers=6, width=512, heads=8, hidden=512, levels=256, fertilities=50),
        "iwslt": dict(layers=5, width=278, heads=2, hidden=507, levels=256, fertilities=50),
        "small": dict(layers=2, width=64, heads=4, hidden=128, levels=256, fertilities=8),
        "tiny": dict(layers=2, width=8, heads=2, hidden=12, levels=4, fertilities=3),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N^2"),
        ("score", "sequential"): Claim("1", "N^2"),
        ("sample", "naive"): Claim("1", "N^2"),
        ("sample", "cached"): Claim("1", "N^2"),
        **at_most("1", "N^2"),
    }

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        heads: int,
        hidden: int,
        levels: int,
        fertilities: int,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if levels < 3:
            raise ValueError(f"translation needs 3 levels at least, an end and two symbols; got {levels}")
        if fertilities < 2:
            raise ValueError(f"there are 2 fertilities at least, none and one; got {fertilities}")
        init = Init(torch.Generator().manual_seed(seed))
        self.levels, self.width, self.fertilities = levels, width, fertilities
        self.alphabets = {"source": levels}
        self.distribution = Categorical(max(levels, fertilities))
        self.embedding = init.table(levels, width)
        self.encoder = Stack(layers, width, heads, hidden, init)
        self.fertility = init.linear(width, fertilities)
        self.decoder = ParallelDecoder(layers, width, heads, hidden, init)
        self.out_bias = nn.Parameter(torch.zeros(levels))

    def schedule(self, n: int) -> Sequence[int]:
        if n < 2:
            raise ValueError(f"an event has at least 2 elements, a fertility and a symbol; got {n}")
        return (0, n // 2, n)

    def _logits(self, found: Tensor) -> Tensor:
        """Padded with what is impossible to one logit a level: (B, M, P)."""
        return pad(found, (0, self.distribution.params_width - found.shape[-1]), value=IMPOSSIBLE)

    def encode(self, context: Context, n: int) -> _Code:
        source = context["source"]
        s, t = source.shape[1], n - n // 2
        positions = sinusoids(max(s, t), self.width, self.embedding)
        inputs = self.embedding[source] * self.width**0.5 + positions[:s]
        encoded = self.encoder(inputs, causal=False)
        fertility = self._logits(self.fertility(encoded))
        return _Code(fertility, inputs, positions[:t].unsqueeze(0), self.decoder.remember(encoded))

    def _symbols(self, fertility: Tensor, code: _Code) -> Tensor:
        """Parameters of all symbols (B, T, P) given the fertilities (B, S)."""
        index, inside = copies(fertility, code.positions.shape[1])
        x = code.inputs.gather(1, index.unsqueeze(-1).expand(-1, -1, self.width))
        decoded = self.decoder(x, code.positions, inside, code.memories)
        logits = self._logits(linear(decoded, self.embedding, self.out_bias))
        symbol = torch.arange(logits.shape[-1], device=logits.device) != END
        return logits.masked_fill(~inside.unsqueeze(-1) & symbol, IMPOSSIBLE)

    def start(self, batch: int, n: int, code: _Code) -> _Code:
        return code

    def extend(self, state: _Code, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _Code]:
        parts = [state.fertility] if g0 == 0 else []
        if g1 == 2:
            parts.append(self._symbols(f[:, : state.fertility.shape[1]], state))
        return torch.cat(parts, dim=1), state

    def forward(self, f: Tensor, code: _Code) -> Tensor:
        return self.extend(code, f, 0, 2)[0]

    def mark(self, state: _Code, g: int) -> None:
        """Nothing: the state stays as it is."""

    def rewind(self, state: _Code, mark: None, f: Tensor, g: int) -> _Code:
        return state

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Real pairs with fertilities from ``fertility.aligned``; of a translation longer than its source
        can be copied, what is beyond is cut."""
        s = n // 2
        target, context = self.sentences(n - s, rows, seed, data, source=s)
        found = [
            aligned(a.numpy(), b.numpy(), self.fertilities - 1) for a, b in zip(context["source"], target, strict=True)
        ]
        fertility = torch.stack([torch.from_numpy(one) for one in found])
        beyond = torch.arange(n - s) >= fertility.sum(1, keepdim=True)
        return torch.cat([fertility, target.masked_fill(beyond, END)], dim=1), context

"""Parallel NMT: all symbols of a translation at once, given how often each source symbol is copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from arbench.backends.compiling import compilable
from arbench.border.shown import Text
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most
from arbench.models.events.fertility import aligned, copies
from arbench.models.events.sentences import END, Aligned, filled
from arbench.models.events.translation import TranslationSource
from arbench.models.layers.attention import Init, Memory, Stack, sinusoids
from arbench.models.layers.parallel_decoder import ParallelDecoder

IMPOSSIBLE = -1e4
"""Logit of an impossible value: its probability is exactly zero in every dtype, its logarithm finite."""


@dataclass(frozen=True)
class _Code:
    """Everything computed from the source; no state passes from one group to the next."""

    fertility: Tensor
    """Parameters of the first group, (B, S, P)."""
    inputs: Tensor
    """Inputs of the encoder, (B, S, D)."""
    positions: Tensor
    """Encodings of the target's positions, (1, T, D)."""
    memories: list[Memory]


class ParallelNMT(TranslationSource, Source):
    """An element is a fertility or a target symbol, drawn in two groups: two evaluations whatever N.

    An event is S = N // 2 fertilities, one per source symbol, then T = N - S target symbols. The encoder reads
    the source; a linear layer on its output gives the distribution of each symbol's fertility, 0 to
    ``fertilities`` - 1. The decoder reads each source symbol's encoder input, copied as often as its
    fertility says. It has no causal mask; a position sees all others but not itself. An end after another end, which
    pads the source, has fertility 0, and positions beyond the sum of the fertilities contain symbol 0, both with
    probability one; a sum above T is cut. Both groups use one
    alphabet, the larger of the two; values that a group cannot take have probability zero.

    Source embedding, target embedding and output product are one table, of variance 1/D, multiplied by
    sqrt(D) where it is read; all else starts with variance 1/fan_in, biases at zero, normalisations as the
    identity.

    Deviations: symbols are bytes, since the authors' shared byte-pair vocabulary does not ship (``levels``
    may be any number); padding after the source's sentences is read like other symbols; every decoder layer
    attends to the last encoder layer, as in the Transformer, where the authors' program pairs layers; real
    pairs are aligned along the diagonal, by ``fertility.aligned``, not by fast_align; in distillation the teacher's
    attention aligns them. Noisy parallel decoding is no sampler of ``arbench run``: ``arbench distill`` measures its
    translations. The paper's fine-tuning is left out.

    Presets:
        base: Transformer-base, the shape for WMT: 6 layers, 8 heads, D=512, feed-forward 2048, fertilities
            below 50; 50,605,362 parameters.
        released: the same with feed-forward 512, as in the authors' program (salesforce/nonauto-nmt).
        iwslt: that program's shape for IWSLT: 5 layers, 2 heads, D=278, feed-forward 507.
        small: 2 layers, 4 heads, D=64, feed-forward 128, fertilities below 8.
        tiny: for tests.

    Source: Gu et al., *Non-Autoregressive Neural Machine Translation*, 2017, section 3.

    Args:
        layers: layers of the encoder, and of the decoder.
        width: D, the width of the layers.
        heads: heads of every attention, a divisor of D.
        hidden: width of the feed-forward layers.
        levels: V, the number of symbols, at least 3.
        fertilities: L, the number of fertilities, at least 2; a symbol is copied at most L - 1 times.
        seed: seed of the initial weights.

    Raises:
        ValueError: there are too few levels or fertilities, or ``heads`` does not divide ``width``.
    """

    family = "non_autoregressive"
    citation = "Gu et al. 2017, arXiv:1711.02281"
    remark = (
        "Scores the joint of fertilities and symbols; the marginal over fertilities, the probability of a "
        "translation, is intractable. The O(N) often quoted for scoring this family is that of inverse "
        "autoregressive flows."
    )
    intractable = "the marginal over the fertilities is intractable"
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
            raise ValueError(f"translation needs at least 3 levels, an end and two symbols; got {levels}")
        if fertilities < 2:
            raise ValueError(f"fertilities must be at least 2, zero and one; got {fertilities}")
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
        """Return the bounds of the two groups: fertilities, then symbols."""
        if n < 2:
            raise ValueError(f"an event has at least 2 elements, a fertility and a symbol; got {n}")
        return (0, n // 2, n)

    def _logits(self, found: Tensor) -> Tensor:
        """Pad logits with impossible values to one per level: (B, M, P)."""
        return pad(found, (0, self.distribution.params_width - found.shape[-1]), value=IMPOSSIBLE)

    def encode(self, context: Context, n: int) -> _Code:
        """Encode the source sentence; return the parameters of fertilities and what the decoder reads."""
        source = context["source"]
        s, t = source.shape[1], n - n // 2
        positions = sinusoids(max(s, t), self.width, self.embedding)
        inputs = self.embedding[source] * self.width**0.5 + positions[:s]
        encoded = self.encoder(inputs, causal=False)
        fertility = self._logits(self.fertility(encoded))
        ends, copied = source == END, torch.arange(fertility.shape[-1], device=source.device) > 0
        padding = pad(ends[:, 1:] & ends[:, :-1], (1, 0))
        fertility = fertility.masked_fill(padding.unsqueeze(-1) & copied, IMPOSSIBLE)
        return _Code(fertility, inputs, positions[:t].unsqueeze(0), self.decoder.remember(encoded))

    @compilable()
    def _symbols(self, fertility: Tensor, code: _Code) -> Tensor:
        """Return the parameters of all symbols (B, T, P) given the fertilities (B, S)."""
        index, inside = copies(fertility, code.positions.shape[1])
        x = code.inputs.gather(1, index.unsqueeze(-1).expand(-1, -1, self.width))
        decoded = self.decoder(x, code.positions, inside, code.memories)
        logits = self._logits(linear(decoded, self.embedding, self.out_bias))
        symbol = torch.arange(logits.shape[-1], device=logits.device) != END
        return logits.masked_fill(~inside.unsqueeze(-1) & symbol, IMPOSSIBLE)

    def start(self, batch: int, n: int, code: _Code) -> _Code:
        """Return the encoded source: nothing changes between groups."""
        return code

    def extend(self, state: _Code, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _Code]:
        """Return the parameters of groups g0 .. g1-1 and the unchanged state."""
        parts = [state.fertility] if g0 == 0 else []
        if g1 == 2:
            parts.append(self._symbols(f[:, : state.fertility.shape[1]], state))
        return torch.cat(parts, dim=1), state

    def forward(self, f: Tensor, code: _Code) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        return self.extend(code, f, 0, 2)[0]

    def mark(self, state: _Code, g: int) -> None:
        """Return nothing: the state does not change."""

    def rewind(self, state: _Code, mark: None, f: Tensor, g: int) -> _Code:
        """Return the state unchanged."""
        return state

    def lengths(self, n: int) -> tuple[int, int]:
        """Return the symbols of source and target in an event of ``n`` elements."""
        return n // 2, n - n // 2

    @property
    def unit(self) -> str:
        """Unit of quality: the joint of fertilities and symbols, over both, which no translation's own bits equal."""
        return f"{super().unit} or fertility, of both together"

    def counted(self, x: Tensor) -> Tensor:
        """Return the elements (B, N) that are no padding.

        They are the fertilities up to that of the source's first end, and the symbols up to the first end. The source's
        end is copied to that of its translation and padding is not copied, so its fertility is the last that is
        positive. An event of several sentences counts all fertilities, but the first translation alone.
        """
        fertility, symbols = x.split(self.lengths(x.shape[1]), dim=1)
        return torch.cat([fertility.flip(1).cumsum(1).flip(1) > 0, super().counted(symbols)], dim=1)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real pairs, with their own fertilities if they are ``Aligned``, else from ``fertility.aligned``.

        A translation that is longer than its source can be copied is cut.
        """
        s = n // 2
        target, context = self.sentences(n - s, rows, seed, data, source=s)
        if isinstance(data, Aligned):
            fertility = filled([data.fertilities[i] for i in data.drawn((s, n - s), rows, seed)], s)
        else:
            both = zip(context["source"], target, strict=True)
            found = [aligned(a.numpy(), b.numpy(), self.fertilities - 1) for a, b in both]
            fertility = torch.stack([torch.from_numpy(one) for one in found])
        beyond = torch.arange(n - s) >= fertility.sum(1, keepdim=True)
        return torch.cat([fertility, target.masked_fill(beyond, END)], dim=1), context

    def shown(self, x: Tensor) -> list[Text]:
        """Return each sentence up to its first end, without the fertilities."""
        return super().shown(x[:, x.shape[1] // 2 :])

"""What transformers are made of: multi-head attention, its key-value cache, layers and stacks of them.

A decoder is a ``Stack`` run causally: ``forward`` over whole events, or ``start`` and ``extend`` over a
``Cache``, which give the same. An encoder is a ``Stack`` run with ``causal=False``; a decoder that attends to
it is one made with ``cross=True``, and is given what ``Stack.remember`` made of the encoder's output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, relu, scaled_dot_product_attention
from torch.nn.utils import skip_init

from arbench.models.base import lecun_normal_

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, approximate="tanh"),
}
"""What a feed-forward layer may have between its products; GPT-2 has the last."""


@dataclass(frozen=True)
class Init:
    """How weights start: N(0, 1/fan_in), or N(0, std^2) where ``std`` is given; biases at zero.

    Args:
        generator: of the random numbers.
        std: of every weight, None for 1/sqrt(fan_in).
        residual: factor on the products that end in a residual stream; GPT-2's is 1/sqrt(2 layers).
    """

    generator: torch.Generator
    std: float | None = None
    residual: float = 1.0

    def linear(self, inputs: int, outputs: int, residual: bool = False) -> nn.Linear:
        """A product (.., inputs) to (.., outputs) with a bias."""
        made = skip_init(nn.Linear, inputs, outputs)
        gain = self.residual if residual else 1.0
        self.normal_(made.weight, inputs, gain)
        nn.init.zeros_(made.bias)
        return made

    def table(self, rows: int, width: int) -> nn.Parameter:
        """One vector for each of ``rows`` symbols: (rows, width)."""
        return nn.Parameter(self.normal_(torch.empty(rows, width), width))

    def normal_(self, tensor: Tensor, fan_in: int, gain: float = 1.0) -> Tensor:
        std = 1 if self.std is None else self.std * fan_in**0.5
        return lecun_normal_(tensor, fan_in, self.generator, gain * std)


def sinusoids(n: int, width: int, like: Tensor) -> Tensor:
    """Positions 0 .. n-1 as sines (even channels) and cosines (odd ones) of wavelengths from 2 pi to
    20,000 pi: (n, width), of the dtype and device of ``like``.

    Source: Vaswani et al., *Attention Is All You Need*, 2017, section 3.5.
    """
    channel = torch.arange(width, dtype=torch.float64, device=like.device)
    rate = 10_000.0 ** (-(channel - channel % 2) / width)
    angle = torch.arange(n, dtype=torch.float64, device=like.device).unsqueeze(1) * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)


def later(t0: int, t1: int, like: Tensor) -> Tensor | None:
    """What is added to the scores of positions t0 .. t1-1 over 0 .. t1-1 so that none sees a later one:
    (t1 - t0, t1) of 0 and -inf; None for a single position, which sees all."""
    if t1 - t0 == 1:
        return None
    return like.new_full((t1 - t0, t1), -torch.inf).triu(t0 + 1)


@dataclass
class Memory:
    """Keys and values (B, H, S, D / H) of a source, and which of it is to be seen."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    """Added to the scores, 0 or -inf: (B, 1, 1, S); None where all is seen."""


@dataclass
class Cache:
    """Keys and values of the past of every layer, and how many positions of them hold.

    ``slots`` are (2, B, H, N, D / H), one a layer. Positions from ``t`` on are free to be overwritten, so
    going back is setting ``t``.
    """

    t: int
    slots: list[Tensor]


class Attention(nn.Module):
    """Multi-head attention: softmax(Q K^T / sqrt(D / H)) V for each of H heads, and a product.

    Source: Vaswani et al., *Attention Is All You Need*, 2017, section 3.2.

    Args:
        width: D of inputs and outputs.
        heads: H, a divisor of D.
        init: of the weights.

    Raises:
        ValueError: H does not divide D.
    """

    def __init__(self, width: int, heads: int, init: Init) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"attention of width {width} cannot be split into {heads} heads")
        self.width, self.heads = width, heads
        self.inputs = init.linear(width, 3 * width)
        """Queries, keys and values side by side."""
        self.out = init.linear(width, width, residual=True)

    def forward(self, x: Tensor, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """Of x (B, M, D) to itself.

        Args:
            causal: whether a position sees none after it.
            mask: added to the scores, broadcast to (B, H, M, M); not where ``causal``.
        """
        query, keys, values = self._split(self.inputs(x))
        return self._attend(query, keys, values, causal=causal, mask=mask)

    def extend(self, x: Tensor, slots: Tensor, t: int, mask: Tensor | None) -> Tensor:
        """Of positions t .. t+M-1, x (B, M, D), to themselves and what is before them.

        Args:
            slots: keys and values (2, B, H, N, D / H), which theirs are written to.
            mask: ``later(t, t + M)``.
        """
        end = t + x.shape[1]
        made = self._split(self.inputs(x))
        slots[:, :, :, t:end].copy_(made[1:])
        return self._attend(made[0], slots[0, :, :, :end], slots[1, :, :, :end], mask=mask)

    def between(
        self, query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        """Of ``query`` (B, M, D) to ``key`` and ``value`` (B, S, D), which may be different things; (1, M, D)
        and (1, S, D) where all rows have the same queries and keys."""
        values = self._part(value, 2)
        shared = (len(values), -1, -1, -1)
        queries, keys = self._part(query, 0).expand(shared), self._part(key, 1).expand(shared)
        return self._attend(queries, keys, values, causal=causal, mask=mask)

    def remember(self, source: Tensor, seen: Tensor | None = None) -> Memory:
        """Makes keys and values of a source (B, S, D), once a draw.

        Args:
            seen: (B, S) bool, which of it is to be seen, at least one a row; None for all.
        """
        keys, values = self._split(linear(source, self.inputs.weight[self.width :], self.inputs.bias[self.width :]))
        return Memory(keys, values, None if seen is None else padding(seen, source))

    def recall(self, x: Tensor, memory: Memory) -> Tensor:
        """Of x (B, M, D) to a source."""
        return self._attend(self._part(x, 0), memory.keys, memory.values, mask=memory.mask)

    def _part(self, x: Tensor, i: int) -> Tensor:
        rows = slice(i * self.width, (i + 1) * self.width)
        return self._split(linear(x, self.inputs.weight[rows], self.inputs.bias[rows]))[0]

    def _split(self, x: Tensor) -> Tensor:
        """(B, M, K D) to (K, B, H, M, D / H)."""
        shape = (x.shape[-1] // self.width, self.heads, self.width // self.heads)
        return x.unflatten(-1, shape).permute(2, 0, 3, 1, 4)

    def _attend(
        self, query: Tensor, keys: Tensor, values: Tensor, causal: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        found = scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal)
        return self.out(found.transpose(1, 2).flatten(2))


def padding(seen: Tensor, like: Tensor) -> Tensor:
    """What is added to scores over a source so that only ``seen`` (B, S) is: (B, 1, 1, S) of 0 and -inf."""
    return like.new_zeros(seen.shape).masked_fill(~seen, -torch.inf)[:, None, None]


class FeedForward(nn.Module):
    """Two products with an activation between, the same at every position: (.., D) to (.., D)."""

    def __init__(self, width: int, hidden: int, activation: str, init: Init) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation '{activation}'; there is: {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.hidden = init.linear(width, hidden)
        self.out = init.linear(hidden, width, residual=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.activation(self.hidden(x)))


class Residual(nn.Module):
    """A residual connection with layer normalisation: x + f(norm(x)), or as first published
    norm(x + f(x))."""

    def __init__(self, width: int, norm_first: bool) -> None:
        super().__init__()
        self.norm, self.norm_first = nn.LayerNorm(width), norm_first

    def forward(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        return x + f(self.norm(x)) if self.norm_first else self.norm(x + f(x))


class Layer(nn.Module):
    """Self-attention, attention to a source where ``cross``, and a feed-forward layer, each with its
    residual connection."""

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        init: Init,
        *,
        cross: bool,
        norm_first: bool,
        activation: str,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, heads, init)
        self.attention_residual = Residual(width, norm_first)
        self.cross = Attention(width, heads, init) if cross else None
        self.cross_residual = Residual(width, norm_first) if cross else None
        self.feed_forward = FeedForward(width, hidden, activation, init)
        self.feed_forward_residual = Residual(width, norm_first)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor], memory: Memory | None) -> Tensor:
        """x (B, M, D), by ``attend`` among themselves: ``attention`` over all, or over a cache."""
        x = self.attention_residual(x, attend)
        if self.cross is not None and self.cross_residual is not None:
            assert memory is not None, "a layer with cross-attention needs a source"
            cross = self.cross
            x = self.cross_residual(x, lambda h: cross.recall(h, memory))
        return self.feed_forward_residual(x, self.feed_forward)


class Stack(nn.Module):
    """Layers one after the other, and with ``norm_first`` a last normalisation.

    Sources: Vaswani et al., *Attention Is All You Need*, 2017, section 3.1; Radford et al., *Language Models
    are Unsupervised Multitask Learners* (GPT-2), 2019, section 2.3, for ``norm_first``.

    Args:
        layers: how many.
        width: D.
        heads: H, a divisor of D.
        hidden: width of the feed-forward layers.
        init: of the weights; normalisations start as the identity.
        cross: whether each layer attends to a source as well.
        norm_first: whether to normalise before each part rather than behind its residual connection.
        activation: a key of ``ACTIVATIONS``.

    Raises:
        ValueError: no layers, heads that do not divide the width, or no such activation.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        hidden: int,
        init: Init,
        *,
        cross: bool = False,
        norm_first: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a stack has at least one layer, got {layers}")
        self.width, self.heads = width, heads
        self.layers = nn.ModuleList(
            Layer(width, heads, hidden, init, cross=cross, norm_first=norm_first, activation=activation)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if norm_first else nn.Identity()

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def forward(
        self, x: Tensor, memories: Sequence[Memory] = (), *, causal: bool, mask: Tensor | None = None
    ) -> Tensor:
        """All positions at once: (B, N, D) to (B, N, D).

        Args:
            memories: a source's, from ``remember``, where the layers attend to one.
            causal: whether a position sees none after it.
            mask: added to the scores of self-attention, broadcast to (B, H, N, N); not where ``causal``.
        """
        for i, layer in enumerate(self._layers()):
            attention = layer.attention
            x = layer(x, lambda h, a=attention: a(h, causal=causal, mask=mask), memories[i] if memories else None)
        return self.norm(x)

    def remember(self, source: Tensor, seen: Tensor | None = None) -> list[Memory]:
        """What each layer attends to of a source (B, S, D): computed once a draw.

        Args:
            seen: (B, S) bool, which of it is to be seen, at least one a row; None for all.
        """
        return [layer.cross.remember(source, seen) for layer in self._layers() if layer.cross is not None]

    def start(self, batch: int, n: int) -> Cache:
        """An empty cache for ``n`` positions."""
        like = next(self.parameters())
        shape = (2, batch, self.heads, n, self.width // self.heads)
        return Cache(0, [like.new_empty(shape) for _ in self._layers()])

    def extend(self, x: Tensor, cache: Cache, memories: Sequence[Memory] = ()) -> Tensor:
        """As a causal ``forward`` for the next M positions x (B, M, D); the cache is moved on in place.

        Only the positions so far are attended to, so that a step costs as much as there is past.

        Raises:
            IndexError: the cache has no room for them.
        """
        t, room = cache.t, cache.slots[0].shape[3]
        if t + x.shape[1] > room:
            raise IndexError(f"a cache of {room} positions cannot hold {t + x.shape[1]}")
        mask = later(t, t + x.shape[1], x)
        for i, (layer, slots) in enumerate(zip(self._layers(), cache.slots, strict=True)):
            attention = layer.attention
            x = layer(x, lambda h, a=attention, s=slots: a.extend(h, s, t, mask), memories[i] if memories else None)
        cache.t = t + x.shape[1]
        return self.norm(x)

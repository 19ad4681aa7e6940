"""Parts of transformers: multi-head attention, its key-value cache, layers and stacks of layers.

A decoder is a ``Stack`` run causally: ``forward`` over whole events, or ``start`` and ``extend`` over a
``Cache``, with the same results. An encoder is a ``Stack`` run with ``causal=False``. A decoder that attends
to an encoder is built with ``cross=True`` and reads the result of ``Stack.remember`` on the encoder's output.
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
"""Activations of a feed-forward layer, by name; GPT-2's is ``gelu_tanh``."""


@dataclass(frozen=True)
class Init:
    """Initialisation of weights: N(0, 1/fan_in), or N(0, std^2) if ``std`` is given; biases at zero.

    Args:
        generator: generator of the random numbers.
        std: standard deviation of every weight, None for 1/sqrt(fan_in).
        residual: factor on products that end in a residual stream; GPT-2's is 1/sqrt(2 layers).
    """

    generator: torch.Generator
    std: float | None = None
    residual: float = 1.0

    def linear(self, inputs: int, outputs: int, residual: bool = False) -> nn.Linear:
        """Return a product (.., inputs) to (.., outputs) with a bias."""
        made = skip_init(nn.Linear, inputs, outputs)
        gain = self.residual if residual else 1.0
        self.normal_(made.weight, inputs, gain)
        nn.init.zeros_(made.bias)
        return made

    def table(self, rows: int, width: int) -> nn.Parameter:
        """Return one vector for each of ``rows`` symbols: (rows, width)."""
        return nn.Parameter(self.normal_(torch.empty(rows, width), width))

    def normal_(self, tensor: Tensor, fan_in: int, gain: float = 1.0) -> Tensor:
        """Fill a tensor with normal weights, scaled by ``gain``."""
        std = 1 if self.std is None else self.std * fan_in**0.5
        return lecun_normal_(tensor, fan_in, self.generator, gain * std)


def sinusoids(n: int, width: int, like: Tensor) -> Tensor:
    """Encode positions 0 .. n-1 as sines (even channels) and cosines (odd ones): (n, width).

    Wavelengths run from 2 pi to 20,000 pi; dtype and device are those of ``like``.

    Source: Vaswani et al., *Attention Is All You Need*, 2017, section 3.5.
    """
    channel = torch.arange(width, dtype=torch.float64, device=like.device)
    rate = 10_000.0 ** (-(channel - channel % 2) / width)
    angle = torch.arange(n, dtype=torch.float64, device=like.device).unsqueeze(1) * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)


def later(t0: int, t1: int, like: Tensor) -> Tensor | None:
    """Return the causal mask of positions t0 .. t1-1 over 0 .. t1-1: (t1 - t0, t1) of 0 and -inf.

    The mask is added to the scores; it is None for a single position, which sees all.
    """
    if t1 - t0 == 1:
        return None
    return like.new_full((t1 - t0, t1), -torch.inf).triu(t0 + 1)


@dataclass
class Memory:
    """Keys and values (B, H, S, D / H) of a source, and its mask."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    """Addition to the scores, 0 or -inf: (B, 1, 1, S); None if the whole source is visible."""


@dataclass
class Cache:
    """Keys and values of the past in every layer.

    Attributes:
        t: number of valid positions. Positions from ``t`` on may be overwritten, so setting ``t`` goes back.
        slots: keys and values (2, B, H, N, D / H) of each layer.
    """

    t: int
    slots: list[Tensor]


Run = Callable[[Tensor, Sequence[Tensor], Sequence[Memory], int], Tensor]
"""A run of a stack over a cache, and of what stands on it: see ``Stack.run``."""


class Attention(nn.Module):
    """Multi-head attention: softmax(Q K^T / sqrt(D / H)) V for each of H heads, then a product.

    Source: Vaswani et al., *Attention Is All You Need*, 2017, section 3.2.

    Args:
        width: D, the width of inputs and outputs.
        heads: H, a divisor of D.
        init: initialisation of the weights.

    Raises:
        ValueError: H does not divide D.
    """

    def __init__(self, width: int, heads: int, init: Init) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"attention of width {width} cannot be split into {heads} heads")
        self.width, self.heads = width, heads
        self.inputs = init.linear(width, 3 * width)
        """Product that makes queries, keys and values, side by side."""
        self.out = init.linear(width, width, residual=True)

    def forward(self, x: Tensor, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
        """Return the attention of x (B, M, D) to itself, (B, M, D).

        Args:
            x: inputs.
            causal: whether a position sees only itself and earlier ones.
            mask: added to the scores, broadcast to (B, H, M, M); not together with ``causal``.
        """
        query, keys, values = self._split(self.inputs(x))
        return self._attend(query, keys, values, causal=causal, mask=mask)

    def extend(self, x: Tensor, slots: Tensor, t: int, mask: Tensor | None) -> Tensor:
        """Return the attention of positions t .. t+M-1 to themselves and all earlier ones, (B, M, D).

        Args:
            x: inputs (B, M, D) of these positions.
            slots: keys and values (2, B, H, N, D / H); those of these positions are written here.
            t: first of these positions.
            mask: ``later(t, t + M)``.
        """
        end = t + x.shape[1]
        made = self._split(self.inputs(x))
        slots[:, :, :, t:end].copy_(made[1:])
        return self._attend(made[0], slots[0, :, :, :end], slots[1, :, :, :end], mask=mask)

    def between(
        self, query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        """Return the attention of one sequence to another, (B, M, D).

        Args:
            query: (B, M, D), or (1, M, D) for the same queries in all rows.
            key: (B, S, D), or (1, S, D) for the same keys in all rows.
            value: (B, S, D).
            causal: whether query i sees only keys up to i.
            mask: added to the scores, broadcast to (B, H, M, S); not together with ``causal``.
        """
        values = self._part(value, 2)
        shared = (len(values), -1, -1, -1)
        queries, keys = self._part(query, 0).expand(shared), self._part(key, 1).expand(shared)
        return self._attend(queries, keys, values, causal=causal, mask=mask)

    def remember(self, source: Tensor, seen: Tensor | None = None) -> Memory:
        """Compute keys and values of a source, once per draw.

        Args:
            source: (B, S, D).
            seen: (B, S) bool, the visible positions, at least one per row; None for all.
        """
        keys, values = self._split(linear(source, self.inputs.weight[self.width :], self.inputs.bias[self.width :]))
        return Memory(keys, values, None if seen is None else padding(seen, source))

    def recall(self, x: Tensor, memory: Memory) -> Tensor:
        """Return the attention of x (B, M, D) to a source."""
        return self._attend(self._part(x, 0), memory.keys, memory.values, mask=memory.mask)

    def weights(self, x: Tensor, memory: Memory) -> Tensor:
        """Return the weights with which ``recall`` averages the values of a source, (B, H, M, S)."""
        scores = self._part(x, 0) @ memory.keys.transpose(2, 3) / (self.width // self.heads) ** 0.5
        return (scores if memory.mask is None else scores + memory.mask).softmax(-1)

    def _part(self, x: Tensor, i: int) -> Tensor:
        rows = slice(i * self.width, (i + 1) * self.width)
        return self._split(linear(x, self.inputs.weight[rows], self.inputs.bias[rows]))[0]

    def _split(self, x: Tensor) -> Tensor:
        """Split (B, M, K D) into (K, B, H, M, D / H)."""
        shape = (x.shape[-1] // self.width, self.heads, self.width // self.heads)
        return x.unflatten(-1, shape).permute(2, 0, 3, 1, 4)

    def _attend(
        self, query: Tensor, keys: Tensor, values: Tensor, causal: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        found = scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal)
        return self.out(found.transpose(1, 2).flatten(2))


def padding(seen: Tensor, like: Tensor) -> Tensor:
    """Return the mask that hides all but the ``seen`` (B, S) positions of a source: (B, 1, 1, S), 0 or -inf."""
    return like.new_zeros(seen.shape).masked_fill(~seen, -torch.inf)[:, None, None]


class FeedForward(nn.Module):
    """Two products with an activation between them, the same at every position: (.., D) to (.., D)."""

    def __init__(self, width: int, hidden: int, activation: str, init: Init) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation '{activation}'; available: {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.hidden = init.linear(width, hidden)
        self.out = init.linear(hidden, width, residual=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output (.., D)."""
        return self.out(self.activation(self.hidden(x)))


class Residual(nn.Module):
    """A residual connection with layer normalisation: x + f(norm(x)), or norm(x + f(x)) as first published."""

    def __init__(self, width: int, norm_first: bool) -> None:
        super().__init__()
        self.norm, self.norm_first = nn.LayerNorm(width), norm_first

    def forward(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the connection around ``f``, with the shape of x."""
        return x + f(self.norm(x)) if self.norm_first else self.norm(x + f(x))


class TransformerLayer(nn.Module):
    """Self-attention, attention to a source if ``cross``, and a feed-forward layer, each residual."""

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
        """Return the layer's output (B, M, D).

        Args:
            x: inputs (B, M, D).
            attend: self-attention, over whole events or over a cache.
            memory: the source, if the layer attends to one.
        """
        x = self.attention_residual(x, attend)
        if self.cross is not None and self.cross_residual is not None:
            assert memory is not None, "a layer with cross-attention needs a source"
            cross = self.cross
            x = self.cross_residual(x, lambda h: cross.recall(h, memory))
        return self.feed_forward_residual(x, self.feed_forward)


class Stack(nn.Module):
    """Layers one after the other, and a final normalisation if ``norm_first``.

    Sources: Vaswani et al., *Attention Is All You Need*, 2017, section 3.1; Radford et al., *Language Models
    are Unsupervised Multitask Learners* (GPT-2), 2019, section 2.3, for ``norm_first``.

    Args:
        layers: number of layers.
        width: D, the width of the layers.
        heads: H, a divisor of D.
        hidden: width of the feed-forward layers.
        init: initialisation of the weights; normalisations start as the identity.
        cross: whether each layer also attends to a source.
        norm_first: whether to normalise before each part rather than after its residual connection.
        activation: a key of ``ACTIVATIONS``.

    Raises:
        ValueError: there is no layer, the heads do not divide the width, or there is no such activation.
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
            raise ValueError(f"a stack needs at least one layer, got {layers}")
        self.width, self.heads = width, heads
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads, hidden, init, cross=cross, norm_first=norm_first, activation=activation)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if norm_first else nn.Identity()

    def _layers(self) -> list[TransformerLayer]:
        return [layer for layer in self.layers if isinstance(layer, TransformerLayer)]

    def forward(
        self, x: Tensor, memories: Sequence[Memory] = (), *, causal: bool, mask: Tensor | None = None
    ) -> Tensor:
        """Run all positions at once: (B, N, D) to (B, N, D).

        Args:
            x: inputs.
            memories: result of ``remember`` on the source, if the layers attend to one.
            causal: whether a position sees only itself and earlier ones.
            mask: added to the scores of self-attention, broadcast to (B, H, N, N); not together with ``causal``.
        """
        for i, layer in enumerate(self._layers()):
            attention = layer.attention
            x = layer(x, lambda h, a=attention: a(h, causal=causal, mask=mask), memories[i] if memories else None)
        return self.norm(x)

    def remember(self, source: Tensor, seen: Tensor | None = None) -> list[Memory]:
        """Compute each layer's keys and values of a source, once per draw.

        Args:
            source: (B, S, D).
            seen: (B, S) bool, the visible positions, at least one per row; None for all.
        """
        return [layer.cross.remember(source, seen) for layer in self._layers() if layer.cross is not None]

    def weights(self, x: Tensor, memories: Sequence[Memory]) -> list[Tensor]:
        """Return the weights of each layer's attention to the source, (B, H, N, S), in a causal ``forward``.

        Raises:
            ValueError: the layers attend to no source.
        """
        found = []
        for layer, memory in zip(self._layers(), memories, strict=True):
            if layer.cross is None or layer.cross_residual is None:
                raise ValueError("the layers attend to no source")
            attention, residual = layer.attention, layer.cross_residual
            asks = layer.attention_residual(x, lambda h, a=attention: a(h, causal=True))
            found.append(layer.cross.weights(residual.norm(asks) if residual.norm_first else asks, memory))
            x = layer(x, lambda h, a=attention: a(h, causal=True), memory)
        return found

    def start(self, batch: int, n: int) -> Cache:
        """Return an empty cache for ``n`` positions."""
        like = next(self.parameters())
        shape = (2, batch, self.heads, n, self.width // self.heads)
        return Cache(0, [like.new_empty(shape) for _ in self._layers()])

    def extend(self, x: Tensor, cache: Cache, memories: Sequence[Memory] = ()) -> Tensor:
        """Run the next M positions x (B, M, D) as a causal ``forward`` would, and advance the cache in place.

        Attention reads only the positions so far, so the cost of a step grows with its position.

        Raises:
            IndexError: the cache has no room for these positions.
        """
        return self.advance(x, cache, memories, self.run)

    def advance(self, x: Tensor, cache: Cache, memories: Sequence[Memory], run: Run) -> Tensor:
        """Do what ``extend`` does by ``self.run``, or by a function of the model that takes and returns the like."""
        t, room = cache.t, cache.slots[0].shape[3]
        if t + x.shape[1] > room:
            raise IndexError(f"the cache has room for {room} positions, got {t + x.shape[1]}")
        out = run(x, cache.slots, memories, t)
        cache.t = t + x.shape[1]
        return out

    def run(self, x: Tensor, slots: Sequence[Tensor], memories: Sequence[Memory], t: int) -> Tensor:
        """Return the outputs (B, M, D) of positions from ``t`` on, whose keys and values are written to ``slots``.

        Args:
            x: inputs (B, M, D) of these positions.
            slots: keys and values of each layer, as in ``Cache``.
            memories: as in ``forward``.
            t: first of these positions.
        """
        mask = later(t, t + x.shape[1], x)
        for i, (layer, own) in enumerate(zip(self._layers(), slots, strict=True)):
            attention = layer.attention
            x = layer(x, lambda h, a=attention, s=own: a.extend(h, s, t, mask), memories[i] if memories else None)
        return self.norm(x)

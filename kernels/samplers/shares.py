"""The weights of a WaveNet, divided among the threads of a native draw and packed in the order of use.

A thread has some channels of every gate: all inputs of their gate weights, and their rows of the output weights. What
it adds to the residual and skip streams is then a partial sum over its channels, and each layer needs one exchange. The
hidden units of the last two layers are divided alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arbench.kernels.samplers.products import pack, pad_to, padded
from arbench.kernels.samplers.vectors import lanes


@dataclass(frozen=True)
class Weights:
    """The parameters of a WaveNet, float32 or float64, on the CPU.

    Attributes:
        dilations: of each layer.
        kernel: taps K of a convolution.
        embedding: (classes, R), or (1, R) for an element that enters as a number.
        gate: (L, K R, 2 G).
        output: (L, G, R + S).
        output_bias: (L, R + S).
        hidden: (S, H).
        hidden_bias: (H,).
        last: (H, P).
        last_bias: (P,).
    """

    dilations: tuple[int, ...]
    kernel: int
    embedding: Tensor
    gate: Tensor
    output: Tensor
    output_bias: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    last: Tensor
    last_bias: Tensor

    @property
    def residual(self) -> int:
        """The number of residual channels, R."""
        return self.embedding.shape[1]

    @property
    def numbers(self) -> int:
        """The number of weights of all matrices but the embedding, which an element multiplies by."""
        return sum(one.numel() for one in (self.gate, self.output, self.hidden, self.last))

    def tensors(self) -> Iterator[Tensor]:
        """Yield all tensors."""
        yield from (value for value in vars(self).values() if isinstance(value, Tensor))

    def bits(self) -> list[np.ndarray]:
        """Return all tensors as unsigned integers of the same bits, in the same memory: equal where a NaN stayed."""
        return [one.numpy().view(f"u{one.itemsize}") for one in self.tensors()]


@dataclass(frozen=True)
class Packed:
    """One thread's share of a WaveNet's weights; sizes are padded to whole vectors.

    Attributes:
        channels: first of the thread's gate channels, and the end.
        gate: G, the padded number of these channels.
        hidden: H, the padded number of the thread's hidden units.
        weights: all matrices, one-dimensional; int16 for bfloat16.
        embedding: (classes or 1, R).
        residual_bias: (L, R).
        skip_bias: (S,), the sum over layers.
        hidden_bias: (H,).
        last_bias: (O,).
    """

    channels: tuple[int, int]
    gate: int
    hidden: int
    weights: Tensor
    embedding: Tensor
    residual_bias: Tensor
    skip_bias: Tensor
    hidden_bias: Tensor
    last_bias: Tensor


def divided(size: int, per: int, threads: int) -> list[tuple[int, int]]:
    """Return the first element and the end of each thread's part of ``size``, whole vectors of ``per`` elements."""
    units = -(-size // per)
    edges = [min(-(-units * i // threads) * per, size) for i in range(threads + 1)]
    return [(edges[i], edges[i + 1]) for i in range(threads)]


def packed(weights: Weights, stored: torch.dtype, threads: int) -> list[Packed]:
    """Divide and pack the weights.

    Args:
        weights: the parameters.
        stored: dtype of packed matrices: that of the parameters, or bfloat16 for float32, to which they were rounded.
        threads: number of shares.

    Raises:
        ValueError: the parameters were not rounded to ``stored``, so a draw would be that of another model.
    """
    if not all(torch.equal(one, one.to(stored).to(one.dtype)) for one in weights.tensors() if not one.isnan().any()):
        kind = str(stored).removeprefix("torch.")
        raise ValueError(f"the model's weights are not rounded to {kind}; call arbench.models.weights.rounded before")
    per = lanes(weights.gate.dtype.itemsize)
    parts = zip(
        divided(weights.output.shape[1], per, threads), divided(weights.hidden.shape[1], per, threads), strict=True
    )
    return [_share(weights, stored, channels, units, i == 0) for i, (channels, units) in enumerate(parts)]


def _share(
    weights: Weights, stored: torch.dtype, channels: tuple[int, int], units: tuple[int, int], first: bool
) -> Packed:
    """Return a share; the first one adds the biases that are added once."""
    kind = weights.gate.dtype
    layers, size, width = weights.output.shape
    r, s = padded(weights.residual, kind), padded(width - weights.residual, kind)
    g, h = padded(channels[1] - channels[0], kind), padded(units[1] - units[0], kind)
    o = padded(weights.last.shape[1], kind)
    gates, outputs = slice(*channels), slice(*units)
    matrices = []
    for layer in range(layers):
        halves = (weights.gate[layer][:, gates], weights.gate[layer][:, size:][:, gates])
        taps = torch.cat([pad_to(half, len(half), g) for half in halves], dim=1).unflatten(0, (weights.kernel, -1))
        matrices.append(torch.cat([pad_to(tap, r, 2 * g) for tap in taps]))
        rows = weights.output[layer][gates]
        streams = rows.split((weights.residual, width - weights.residual), dim=1)
        matrices.append(torch.cat([pad_to(part, g, n) for part, n in zip(streams, (r, s), strict=True)], dim=1))
    matrices.append(pad_to(weights.hidden[:, outputs], s, h))
    matrices.append(pad_to(weights.last[outputs], h, o))
    bias = weights.output_bias.split((weights.residual, width - weights.residual), dim=1)
    once = 1.0 if first else 0.0
    return Packed(
        channels,
        g,
        h,
        torch.cat([pack(one, stored) for one in matrices if one.numel()] or [weights.gate.new_zeros(0)]),
        pad_to(weights.embedding, len(weights.embedding), r),
        pad_to(bias[0], layers, r),
        _padded(bias[1].sum(0) * once, s),
        _padded(weights.hidden_bias[outputs], h),
        _padded(weights.last_bias * once, o),
    )


def _padded(vector: Tensor, size: int) -> Tensor:
    return pad_to(vector.unsqueeze(0), 1, size).squeeze(0)

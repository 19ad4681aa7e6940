"""The parts of our WaveNet that adapters of other WaveNets read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from arbench.methods.base import Task
from arbench.models.wavenet import WaveNet


class LayerWeights(NamedTuple):
    """Weights of a layer, in the shapes of ``torch.nn.Conv1d``: outputs first, taps last, oldest tap first."""

    taps: Tensor
    """(2 G, R, K): the filter's outputs, then the gate's."""
    gate_bias: Tensor
    residual: Tensor
    """(R, G)."""
    residual_bias: Tensor
    skip: Tensor
    """(S, G)."""
    skip_bias: Tensor
    local: Tensor | None
    """(2 G, C)."""
    voice: Tensor | None
    """(2 G, classes)."""


def layer_weights(source: WaveNet) -> Iterator[LayerWeights]:
    """Yield the weights of each layer."""
    stack, r = source.stack, source.stack.residual
    layers, width = stack.gate_bias.shape

    def by_layer(weight: Tensor | None) -> list[Tensor] | list[None]:
        return [None] * layers if weight is None else list(weight.unflatten(-1, (layers, width)).permute(1, 2, 0))

    local, voice = by_layer(stack.local_weight), by_layer(stack.global_weight)
    for i in range(layers):
        out, bias = stack.out_weight[i].T, stack.out_bias[i]
        yield LayerWeights(
            stack.gate_weight[i].unflatten(0, (stack.kernel, r)).permute(2, 1, 0),
            stack.gate_bias[i],
            out[:r],
            bias[:r],
            out[r:],
            bias[r:],
            local[i],
            voice[i],
        )


def cycle(source: WaveNet) -> int:
    """Return the number of layers until the dilation returns to 1."""
    dilations = source.stack.dilations
    return dilations.index(1, 1) if 1 in dilations[1:] else len(dilations)


def unlike(source: WaveNet) -> str | None:
    """Return why a WaveNet of whole cycles, with a softmax and a hidden layer as wide as its skip sum, is another."""
    if source.out.dtype not in (torch.float32, torch.float64):  # torch.distributions refuses sums that are rounded more
        return "computes in float32 or float64; add --dtype float32"
    if not source.companded:
        return "draws mu-law classes; add loss=softmax"
    if source.hidden.shape[0] != source.levels:
        return f"has a hidden layer as wide as its skip sum; add skip={source.levels}"
    if len(source.stack.dilations) % cycle(source):
        whole = len(source.stack.dilations) // cycle(source) * cycle(source)
        return f"has whole cycles of dilations; add layers={whole}"
    return None


def conditioning(source: WaveNet, task: Task) -> tuple[Tensor | None, Tensor | None]:
    """Return the local conditioning of each position (B, C, N) and the voices (B,), where the model has them."""
    local, voice = task.context.get("local"), task.context.get("global")
    if local is not None:
        local = local.to(source.out).repeat_interleave(source.hop, dim=-1)[..., : task.n]
    return local, voice

"""Formulas for the fused operators of PyTorch: recurrent layers and attention.

Each counts like its unfused twin when every operation of the twin is dispatched. Where a result depends on several
inputs through chains of different length, the longest chain counts; only a mask joins late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils.flop_counter import sdpa_flop_count

from arbench.meters.opaque import register_opaque

aten = torch.ops.aten

_MODES = ("relu", "tanh", "lstm", "gru")
"""Meanings of the integer ``mode`` of the oneDNN and cuDNN layers."""
_GATES = {"relu": 1, "tanh": 1, "lstm": 4, "gru": 3}
_STEP = {"relu": 3, "tanh": 3, "lstm": 7, "gru": 9}
"""Links from one hidden state to the next: hidden product, sum of gates, activations, update."""
_CELL_LAG = {"relu": 0, "tanh": 0, "lstm": 2, "gru": 0}
"""Links from the cell state to the hidden state computed from it: tanh and a product."""


def _mkldnn_rnn_depth(input: Tensor, *rest: Any) -> tuple[int, ...]:
    mode = _MODES[rest[8]]
    last = _STEP[mode] * input.size(0)
    return last + 1, last, last - _CELL_LAG[mode], 0


def _mkldnn_rnn_flops(input: Tensor, *rest: Any) -> int:
    steps, batch, features = input.shape
    mode, hidden = _MODES[rest[8]], rest[9]
    return 2 * steps * batch * _GATES[mode] * hidden * (features + hidden)


def _cudnn_rnn_depth(input: Tensor, *rest: Any) -> tuple[int, ...]:
    mode, layers, batch_first, packed = _MODES[rest[5]], rest[8], rest[9], rest[13]
    steps = len(packed) if packed else input.size(1 if batch_first else 0)
    output = layers * (_STEP[mode] * steps + 1)
    return output, output, output - _CELL_LAG[mode], 0, 0


def _cudnn_rnn_flops(input: Tensor, *rest: Any) -> int:
    mode, hidden, projected, layers = _MODES[rest[5]], rest[6], rest[7], rest[8]
    directions = 2 if rest[12] else 1
    features, out, total = input.size(-1), projected or hidden, 0
    cells = directions * (input.numel() // features)
    for _ in range(layers):
        total += 2 * cells * hidden * (_GATES[mode] * (features + out) + projected)
        features = out * directions
    return total


def _attention_depth(op: OpOverload) -> Callable[..., int]:
    """Return the formula for scale, product, softmax, product: 4 links, and one more where scores are masked."""
    masks = [
        (position, argument.name)
        for position, argument in enumerate(op._schema.arguments)
        if argument.name in ("attn_mask", "attn_bias", "is_causal")
    ]

    def depth(*args: Any, **kwargs: Any) -> int:
        given = [args[p] if p < len(args) else kwargs.get(name) for p, name in masks]
        return 5 if any(value is not None and value is not False for value in given) else 4

    return depth


def _attention_flops(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query.shape, key.shape, value.shape)


register_opaque(aten.mkldnn_rnn_layer.default, _mkldnn_rnn_depth, _mkldnn_rnn_flops)
register_opaque(aten._cudnn_rnn.default, _cudnn_rnn_depth, _cudnn_rnn_flops)
# The cells get both products as inputs: sum of gates, activations, update. They do no multiply-adds.
register_opaque(aten._thnn_fused_lstm_cell.default, lambda *_: (6, 4, 0), lambda *_: 0)
register_opaque(aten._thnn_fused_gru_cell.default, lambda *_: (8, 0), lambda *_: 0)
for _name in (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
):
    _op = getattr(aten, _name).default
    _late = {a.name: 2 for a in _op._schema.arguments if a.name in ("attn_mask", "attn_bias")}
    register_opaque(_op, _attention_depth(_op), _attention_flops, late=_late)

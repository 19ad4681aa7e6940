"""A network of the package that computes the logits of few tokens only, for probes of all else that it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

COLUMNS = 64
"""Tokens whose logits are computed: a wide vocabulary's take most of the time of a small network."""


@contextmanager
def narrowed(network: Any) -> Iterator[int]:
    """Replace the last layer by one for ``COLUMNS`` tokens within the context; yield their number, 0 for none."""
    head = network.get_output_embeddings()
    if type(head) is not nn.Linear or head.out_features <= COLUMNS or _changed(head):
        yield 0
        return
    kept = torch.linspace(0, head.out_features - 1, COLUMNS, device=head.weight.device).round().long()
    few = nn.Linear(head.in_features, COLUMNS, bias=head.bias is not None).to(head.weight)
    few.weight.data = head.weight.detach()[kept]
    if head.bias is not None:
        few.bias.data = head.bias.detach()[kept]
    network.set_output_embeddings(few.requires_grad_(False).eval())
    try:
        yield COLUMNS
    finally:
        network.set_output_embeddings(head)


def _changed(head: nn.Linear) -> bool:
    """Return whether a layer does more than its class: another one would not."""
    hooks = (head._forward_hooks, head._forward_pre_hooks, head._backward_hooks, head._backward_pre_hooks)
    return any(map(len, hooks)) or "forward" in vars(head)

"""Bytes that a model's state holds, such as those of a language model's cache: measured, from its own tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from arbench.models import Source


def held(source: Source, f: Tensor, context: Mapping[str, Tensor]) -> dict[str, int]:
    """Return how many bytes of state an event has, and how many of them its last element adds.

    Weights and the encoded conditioning are not counted, and a tensor that several objects share is counted once. What
    a state reserves for elements to come counts too.

    Args:
        source: the model, in the dtype that is measured.
        f: events (B, N) for the network to read.
        context: their conditioning.

    Returns:
        ``state_bytes``; and ``token_bytes``, the difference from the state of an event with an element fewer, where N
        is at least two.
    """
    n = f.shape[1]
    whole = _bytes(source, f, context, n)
    if n == 1:
        return {"state_bytes": whole}
    return {"state_bytes": whole, "token_bytes": max(whole - _bytes(source, f, context, n - 1), 0)}


def _bytes(source: Source, f: Tensor, context: Mapping[str, Tensor], n: int) -> int:
    batch, code = len(f), source.encode(context, n)
    state = source.start(batch, n, code)
    state = source.extend(state, f[:, :n], 0, len(source.schedule(n)) - 1)[1]
    others = {_place(one) for one in (*source.parameters(), *source.buffers(), *_tensors([code]))}
    parts = {_place(one): one.untyped_storage().nbytes() for one in _tensors([state])}
    return sum(size for place, size in parts.items() if place not in others) // batch


def _place(tensor: Tensor) -> tuple[torch.device, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors in objects, of other packages' classes too, and in what these hold."""
    left, seen = list(values), dict[int, Any]()
    while left:
        value = left.pop()
        if id(value) in seen or isinstance(value, nn.Module | type | str | bytes):
            continue
        seen[id(value)] = value  # kept, so that its id is not given to another object
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            left.extend(value.values())
        elif isinstance(value, list | tuple | set):
            left.extend(value)
        else:
            left.extend(getattr(value, "__dict__", {}).values())

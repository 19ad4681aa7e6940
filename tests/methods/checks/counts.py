"""Counts: repeatable, and independent of how caches are stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from arbench.meters import count
from arbench.methods import Method
from arbench.models import Source
from arbench.models.layers import attention, dilated

from .sources import job, length, ran


def counts_repeat(source: Source, method: Method, n: int) -> None:
    """The same integers in two runs, on one thread and on two, at a few elements: counting is slow."""
    n, threads = length(source, 4), torch.get_num_threads()
    task, found = job(source, method, n, range(1)), []
    for number in (1, 2):
        try:
            torch.set_num_threads(number)
            found.append(count(lambda: method.run(source, task)))
        finally:
            torch.set_num_threads(threads)
    assert found[0].depth is not None
    assert found[0] == found[1]


@contextmanager
def caches(stacked: bool) -> Iterator[None]:
    """Keep the caches of dilated stacks and attention as tensors that are written slot by slot.

    Rings become tensors (slots, B, R), where storing in a slot is a copy; keys and values lie position by position.

    Args:
        stacked: whether the caches of all layers are slices of one tensor, or tensors of their own.
    """
    start, begin = dilated.DilatedStack.start, attention.Stack.start

    def tensors(self: dilated.DilatedStack, batch: int) -> dilated.StackState:
        state = start(self, batch)
        sizes = [len(ring) for ring in state.rings]
        if stacked:
            kept = self.gate_weight.new_zeros(sum(sizes), batch, self.residual).split(sizes)
        else:
            kept = [self.gate_weight.new_zeros(size, batch, self.residual) for size in sizes]
        state.rings = list(kept)  # type: ignore[arg-type]
        return state

    def slots(self: attention.Stack, batch: int, n: int) -> attention.Cache:
        cache = begin(self, batch, n)
        two, rows, heads, n, width = cache.slots[0].shape
        if stacked:
            whole = cache.slots[0].new_empty(n, len(cache.slots), two, rows, heads, width)
            cache.slots = list(whole.permute(1, 2, 3, 4, 0, 5))
        return cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dilated.DilatedStack, "start", tensors)
        patch.setattr(attention.Stack, "start", slots)
        yield


def split_and_stacked_caches_agree(source: Source, method: Method, n: int) -> None:
    """Caches of their own and slices of one storage: the same depth at every N, and the same result.

    The depth is that of two N, within the longest ring of a tiny model (8 slots) and twice around it.
    """
    task, expected = ran(source, method, n, range(1))
    depths: list[list[int | None]] = []
    for stacked in (False, True):
        with caches(stacked):
            tasks = [job(source, method, length(source, size), range(1)) for size in (4, 16)]
            depths.append([count(lambda task=task: method.run(source, task)).depth for task in tasks])
            assert torch.equal(method.run(source, task).f, expected.f)
    assert None not in depths[0]
    assert depths[0] == depths[1]

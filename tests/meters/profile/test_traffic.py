"""Reuse distances against their definition, and the working sets of operators whose accesses are known."""

from __future__ import annotations

import random

import pytest
import torch

from arbench.meters.count import count
from arbench.meters.profile.traffic import Distances, Traffic, Work

KIB = 1 << 10


def defined(accesses: list[tuple[int, int]]) -> list[int | None]:
    """Return the distances of accesses by their definition: the bytes of the places accessed in between."""
    found: list[int | None] = []
    for at, (place, _) in enumerate(accesses):
        before = max((i for i in range(at) if accesses[i][0] == place), default=None)
        between = {} if before is None else dict(accesses[before + 1 : at])
        found.append(None if before is None else sum(between.values()))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_distances_are_the_bytes_of_the_places_in_between(seed):
    rng = random.Random(seed)
    sizes = {place: rng.randrange(1, 99) for place in range(12)}
    accesses = [(place, sizes[place]) for place in rng.choices(range(12), weights=range(1, 13), k=300)]
    distances = Distances()
    assert [distances.access(*one) for one in accesses] == defined(accesses)
    assert distances.footprint == sum(sizes.values())


def test_the_last_size_of_a_place_counts():
    distances = Distances()
    for place, size in ((1, 10), (2, 5), (1, 20), (3, 1)):
        distances.access(place, size)
    assert distances.access(2, 5) == 21
    assert distances.footprint == 26


def observed(call) -> list[Work]:
    traffic = Traffic()
    assert count(call, observer=traffic).why_unknown is None
    return traffic.work()


def test_flops_bytes_and_names_are_those_that_are_counted():
    a, b = torch.randn(16, 32), torch.randn(32, 8)
    work = observed(lambda: torch.tanh(a @ b))
    counts = count(lambda: torch.tanh(a @ b))
    assert [(one.name, one.flops, one.dtype) for one in work] == [
        ("aten::mm", 2 * 16 * 32 * 8, "float32"),
        ("aten::tanh", 0, "float32"),
    ]
    assert sum(moved for one in work for moved, _ in one.traffic) == counts.bytes


def test_a_weight_that_each_step_reads_once_comes_from_where_all_weights_fit():
    weights = [torch.randn(32, 32) for _ in range(8)]  # 4 KiB each
    x = torch.randn(1, 32)

    def steps():
        for _ in range(3):
            for weight in weights:
                torch.mm(x, weight)

    work = observed(steps)
    far = [max(where for moved, where in one.traffic if moved == 4 * KIB) for one in work]
    assert all(8 * 4 * KIB <= where <= 9 * 4 * KIB for where in far)
    again = [
        max(where for _, where in one.traffic) for one in observed(lambda: [torch.mm(x, weights[0]) for _ in range(9)])
    ]
    assert max(again) < 2 * 4 * KIB


def test_what_an_expanded_tensor_spans_is_what_its_memory_is():
    distances = [where for one in observed(lambda: torch.ones(1).expand(4096).clone()) for _, where in one.traffic]
    assert max(distances) <= 2 * 4 * 4096 + 8


def test_a_table_is_read_where_the_operation_is():
    table, at = torch.randn(1024, 64), torch.tensor([1, 2])
    (work,) = observed(lambda: torch.nn.functional.embedding(at, table))
    assert sum(moved for moved, _ in work.traffic) == 2 * (2 * 64 * 4) + 16
    assert all(where < 4 * KIB for moved, where in work.traffic)

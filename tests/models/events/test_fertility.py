"""Tests of fertilities: by hand, and of real pairs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from arbench.data import as_bytes
from arbench.meters import count
from arbench.models.events.fertility import aligned, copies


def test_copies_are_a_plain_loop() -> None:
    fertility = torch.tensor(list(product(range(4), repeat=3)))
    index, inside = copies(fertility, 5)
    for row, found, is_inside in zip(fertility.tolist(), index.tolist(), inside.tolist(), strict=True):
        wanted = [i for i, times in enumerate(row) for _ in range(times)][:5]
        assert found[: len(wanted)] == wanted
        assert is_inside == [t < len(wanted) for t in range(5)]
        assert all(0 <= i < 3 for i in found)


def test_depth_of_copying_does_not_grow() -> None:
    found = [count(lambda s=s: copies(torch.ones(2, s, dtype=torch.long), s)).depth for s in (4, 16, 64)]
    assert found[0] is not None
    assert found == [found[0]] * 3


def event(text: str, length: int) -> np.ndarray:
    symbols = as_bytes(text.replace("|", "\0"))
    return np.pad(symbols, (0, length - len(symbols)))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("ab|", "wxyz|", [2, 2, 1, 0, 0, 0]),
        ("abcd|", "xy|", [1, 0, 1, 0, 1, 0]),
        ("ab|c|", "xy|wz|", [1, 1, 1, 2, 1, 0]),
        ("abcdef", "uvwxyz|", [1, 1, 1, 1, 1, 1]),
        ("a|", "wxyz|", [3, 1, 0, 0, 0, 0]),
    ],
)
def test_alignment_is_diagonal_sentence_by_sentence(source: str, target: str, expected: list[int]) -> None:
    assert aligned(event(source, 6), event(target, 7), most=3).tolist() == expected

"""Pairs that are events of their own: padding, fertilities of their own, and what counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arbench.data import DataError
from arbench.models import resolve
from arbench.models.events.sentences import Aligned, Sentences

PAIRS = Sentences(
    [np.array([1, 2]), np.array([3, 1, 2]), np.array([2] * 9)], [np.array([2]), np.array([1, 1, 3]), np.array([3])]
)


def test_pairs_fit_with_their_ends_and_are_padded_with_ends():
    assert PAIRS.fitting((4, 4)) == [0, 1]
    assert PAIRS.fitting((3, 4)) == [0]
    targets, sources = PAIRS.padded([1, 0], (4, 5))
    assert targets.tolist() == [[1, 1, 3, 0, 0], [2, 0, 0, 0, 0]]
    assert sources.tolist() == [[3, 1, 2, 0], [1, 2, 0, 0]]
    rows = PAIRS.drawn((4, 4), range(50), seed=3)
    assert set(rows) == {0, 1}
    assert PAIRS.drawn((4, 4), range(7, 9), seed=3) == rows[7:9]
    with pytest.raises(DataError, match="none fits into an event of 2 symbols; the shortest needs 3"):
        PAIRS.drawn((2, 2), [0], seed=0)


def test_a_model_reads_the_fertilities_that_pairs_have():
    model = resolve("parallel_nmt:tiny").build()
    data = Aligned(PAIRS.sources, PAIRS.targets, [np.array([0, 1, 1]), np.array([2, 0, 1, 1]), np.array([1] * 10)])
    x, context = model.observe(9, range(20), 0, data)
    seen = {tuple(source): tuple(row) for source, row in zip(context["source"].tolist(), x.tolist(), strict=True)}
    assert seen == {(1, 2, 0, 0): (0, 1, 1, 0, 2, 0, 0, 0, 0), (3, 1, 2, 0): (2, 0, 1, 1, 1, 1, 3, 0, 0)}
    (piece,) = [piece for piece in model.pieces(data, 9) if piece.part == 1]
    assert model.observe(9, [0], 5, piece.data)[0].tolist() == [[2, 0, 1, 1, 1, 1, 3, 0, 0]]


def test_padding_of_fertilities_and_of_symbols_does_not_count():
    model = resolve("parallel_nmt:tiny").build()
    x, _ = model.observe(9, range(20), 0, PAIRS)
    for row, counted in zip(x, model.counted(x), strict=True):
        fertility, symbols = row.split([4, 5])
        sentence = {1: 2, 3: 3}[int((symbols != 0).sum())]  # of its source
        assert int(fertility.sum()) == int((symbols != 0).sum()) + 1
        assert counted[:4].tolist() == [i <= sentence for i in range(4)]
        assert counted[4:].tolist() == [i <= int((symbols != 0).sum()) for i in range(5)]
    with torch.no_grad():  # what does not count is certain
        code = model.encode(model.observe(9, range(20), 0, PAIRS)[1], 9)
        log_prob = model.distribution.log_prob(model(x, code), x)
    assert (log_prob[~model.counted(x)] == 0).all()
    assert (log_prob[model.counted(x)] < 0).all()

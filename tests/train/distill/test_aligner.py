"""Alignment in turns: the likeliest one by brute force, and the law of fertilities by counting."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from arbench.models import resolve
from arbench.models.events.sentences import Sentences, filled
from arbench.train.distill.aligner import (
    REACHES,
    STRENGTH,
    begun,
    contexts,
    counted,
    evidence,
    fitted,
    monotone,
    reconciled,
)

COPIES = np.array([0, 1, 2, 0])
RNG = np.random.default_rng(0)
PAIRS = Sentences(
    [RNG.integers(1, 4, size) for size in (1, 2, 3, 4, 4, 5)], [RNG.integers(1, 4, size) for size in (2, 2, 3, 5, 4, 4)]
)


def test_the_alignment_is_the_likeliest_of_all():
    sizes, most = [(3, 5), (4, 4), (2, 1), (1, 5), (3, 0)], 3
    shown = RNG.normal(size=(5, 5, 4))
    law = np.log(RNG.dirichlet(np.ones(most + 1), (5, 4)))
    found = monotone(shown, law, sizes)
    for b, (s, t) in enumerate(sizes):
        best = (-np.inf, None)
        for f in product(range(most + 1), repeat=s):
            if sum(f) == min(t, most * s):
                where = np.repeat(np.arange(s), f)
                score = sum(law[b, i, one] for i, one in enumerate(f)) + sum(
                    shown[b, j, i] for j, i in enumerate(where)
                )
                best = max(best, (score, f))
        assert tuple(found[b, :s]) == best[1]
        assert (found[b, s:] == 0).all()


def test_the_law_of_fertilities_is_counted_by_context():
    sources = filled(PAIRS.sources, 6).numpy()
    assert contexts(sources, 0)[sources == 2].max() == contexts(sources, 0)[sources == 2].min()
    fertilities = RNG.integers(0, 3, sources.shape)
    law = counted(sources, fertilities, 2)(sources)
    seen = [Counter() for _ in REACHES]

    def context(row, i, reach):
        return tuple(np.pad(sources[row], reach)[i : i + 2 * reach + 1])

    places = [(row, i) for row, source in enumerate(PAIRS.sources) for i in range(len(source))]
    for row, i in places:
        for reach, counter in zip(REACHES, seen, strict=True):
            counter[context(row, i, reach), int(fertilities[row, i])] += 1
    for row, i in places:
        wanted = begun(2).base
        for reach, counter in zip(REACHES, seen, strict=True):
            counts = np.array([counter[context(row, i, reach), f] for f in range(3)])
            wanted = (counts + STRENGTH * wanted) / (counts.sum() + STRENGTH)
        assert law[row, i] == pytest.approx(wanted)
    unseen = counted(sources, fertilities, 2)(np.array([[9]]))
    assert unseen[0, 0] == pytest.approx(begun(2).base)


def test_evidence_is_attention_within_the_sentences():
    teacher = resolve("nmt_teacher:tiny").build()
    ((numbers, found),) = evidence(teacher, PAIRS, 8)
    for i in numbers:
        s, t = len(PAIRS.sources[i]), len(PAIRS.targets[i])
        assert (found[i, :t, :s] < 0).all()
        assert (found[i, t:] == 0).all()
        assert (found[i, :, s:] == 0).all()


def test_fertilities_are_easier_to_predict_with_each_round():
    # the target has 1 as it is, 2 twice and no 3
    words = [RNG.integers(1, 4, RNG.integers(2, 7)) for _ in range(600)]
    pairs = Sentences(words, [np.repeat(word, COPIES[word]) for word in words])
    training, other = pairs.chosen(range(400)), pairs.chosen(range(400, 600))
    teacher = resolve("nmt_teacher:tiny").build()
    sources = filled(other.sources, 14).numpy()
    bits = []
    for rounds in (1, 2, 6):
        law = fitted(teacher, training, 14, 3, rounds)
        found = reconciled(teacher, other, 14, law, rounds)
        rows = filled([row[:-1] for row in found.fertilities], 14).numpy()
        chance = np.take_along_axis(law(sources), rows[..., None], 2)[..., 0]
        bits.append(float(-np.log2(chance[sources != 0]).mean()))
        for row, source, target in zip(found.fertilities, other.sources, other.targets, strict=True):
            assert (len(row), row[-1], row.max() <= 3) == (len(source) + 1, 1, True)
            assert row.sum() == min(len(target), 3 * len(source)) + 1
    assert bits[0] > 1.05 * bits[1] > 1.1 * bits[2]

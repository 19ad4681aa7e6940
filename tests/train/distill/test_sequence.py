"""Sequence-level distillation: alignments from the teacher's attention, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from arbench.models import resolve
from arbench.models.events.sentences import Sentences
from arbench.models.layers import attention as layers
from arbench.train.distill.alignment import aligned, capped
from arbench.train.distill.sequence import begins_alike, refusal

RNG = np.random.default_rng(0)
PAIRS = Sentences(
    [RNG.integers(1, 4, size) for size in (1, 2, 3, 4, 4, 5)], [RNG.integers(1, 4, size) for size in (2, 2, 3, 5, 4, 4)]
)


def built(spec, seed=0):
    return resolve(spec).build(seed, torch.float64).eval().requires_grad_(False)


@pytest.mark.parametrize("spec", ["nmt_teacher:tiny", "nmt_teacher:tiny,norm_first=True"])
def test_the_weights_of_attention_are_those_of_forward(spec, monkeypatch):
    model = built(spec)
    targets, sources = PAIRS.padded(range(6), (6, 7))
    code = model.encode({"source": sources}, 7)
    seen = []

    def watched(query, keys, values, **given):
        if query.shape[2] != keys.shape[2]:  # 7 symbols look at 6
            everything = torch.eye(6, dtype=values.dtype).expand(*keys.shape[:3], 6)
            seen.append(scaled_dot_product_attention(query, keys, everything, **given))
        return scaled_dot_product_attention(query, keys, values, **given)

    found = model.attention(targets, code)
    monkeypatch.setattr(layers, "scaled_dot_product_attention", watched)
    model(targets, code)
    assert len(found) == len(seen) == 2
    for one, other in zip(found, seen, strict=True):
        torch.testing.assert_close(one, other)


def test_fertilities_are_counts_of_the_symbol_most_looked_at():
    teacher = built("nmt_teacher:tiny")
    found = aligned(teacher, PAIRS, 8, most=9)
    assert (found.sources, found.targets) == (PAIRS.sources, PAIRS.targets)
    for source, target, fertility in zip(found.sources, found.targets, found.fertilities, strict=True):
        targets, sources = Sentences([source], [target]).padded([0], (8, 8))
        (weights,) = teacher.attention(targets, teacher.encode({"source": sources}, 8))[-1].mean(1)
        counts = [0] * len(source)
        for j in range(len(target)):
            counts[max(range(len(source)), key=lambda i, row=weights[j]: float(row[i]))] += 1
        assert fertility.tolist() == [*counts, 1]
    assert max(fertility[:-1].max() for fertility in found.fertilities) > 2
    less = aligned(teacher, PAIRS, 8, most=2)
    for one, other in zip(found.fertilities, less.fertilities, strict=True):
        assert other.max() <= 2
        assert other.sum() == min(one.sum(), 2 * (len(one) - 1) + 1)


@pytest.mark.parametrize(
    ("counts", "most", "wanted"),
    [
        ([0, 5, 0, 0], 2, [2, 2, 1, 0]),
        ([1, 2, 0], 2, [1, 2, 0]),
        ([4, 4], 3, [3, 3]),
        ([0, 0, 4, 2], 2, [0, 2, 2, 2]),
        ([3, 0, 3], 2, [2, 2, 2]),
    ],
)
def test_surplus_goes_to_the_nearest_that_have_room(counts, most, wanted):
    assert capped(np.array(counts), most).tolist() == wanted


def test_a_student_begins_with_an_encoder_of_its_shape():
    student, teacher = resolve("parallel_nmt:tiny").build(1), built("nmt_teacher:tiny")
    assert begins_alike(student, teacher)
    assert not begins_alike(student, built("nmt_teacher:tiny,norm_first=True"))
    assert not begins_alike(student, built("nmt_teacher:tiny,hidden=10"))


@pytest.mark.parametrize(
    ("student", "teacher", "said"),
    [
        ("parallel_nmt:tiny", "nmt_teacher:tiny", None),
        ("nmt_teacher:tiny", "seq2seq:tiny", None),
        ("parallel_nmt:tiny,levels=5", "nmt_teacher:tiny", "levels 4, and the student 5; choose levels=4"),
        ("parallel_nmt:tiny", "seq2seq:tiny", "shows no attention"),
        ("nmt_teacher:tiny", "parallel_nmt:tiny", "is a student itself"),
        ("seq2seq:g2p", "seq2seq:g2p", "the student, a Seq2Seq of this preset, does not translate"),
        ("parallel_nmt:tiny", "transformer:tiny", "does not translate; name a trained nmt_teacher"),
        ("transformer:tiny", "nmt_teacher:tiny", "the student, a Transformer of this preset, does not translate"),
    ],
)
def test_refusals(student, teacher, said):
    found = refusal(built(student), built(teacher))
    assert found is said if said is None else said in found

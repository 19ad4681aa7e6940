"""Greedy, average and noisy parallel decoding, beside plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot, pad

from arbench.models import resolve
from arbench.models.events.sentences import Sentences
from arbench.train.translation import decoded, decodings, greedy
from arbench.train.translation.decode import average, copied, fertilities, until_end
from arbench.train.translation.noisy import noisy

RNG = np.random.default_rng(0)
PAIRS = Sentences(
    [RNG.integers(1, 4, size) for size in (1, 2, 3, 4, 4, 5)], [RNG.integers(1, 4, size) for size in (2, 2, 3, 5, 4, 4)]
)


def built(spec, seed=1):
    """Return a model in float64 whose choices depend on its inputs."""
    model = resolve(spec).build(seed, torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.4, generator=generator))
    return model.eval().requires_grad_(False)


def sources(n):
    return {"source": PAIRS.padded(range(len(PAIRS)), (n, n))[1]}


@pytest.mark.parametrize(("spec", "seed"), [("nmt_teacher:tiny", 10), ("seq2seq:tiny", 34)])
def test_greedy_takes_the_likeliest_symbol_step_by_step(spec, seed):
    model = built(spec, seed)
    if spec.startswith("nmt"):
        model.embedding[0] *= 1.5  # a likelier end
    wanted = []
    for i in range(len(PAIRS)):
        said = []
        code = model.encode({"source": sources(8)["source"][i : i + 1]}, 8)
        while len(said) < 8:
            x = torch.tensor([said + [0] * (8 - len(said))])
            said.append(int(model(x, code)[0, len(said)].argmax()))
            if said[-1] == 0:
                said.pop()
                break
        wanted.append(said)
    assert len({len(said) for said in wanted}) > 2
    for batch in (2, 6):
        found = [row.tolist() for row in decoded(model, PAIRS, range(len(PAIRS)), 8, batch=batch)]
        assert found == wanted


def test_a_parallel_model_takes_the_likeliest_fertilities_and_symbols():
    model = built("parallel_nmt:tiny")
    context, n, s = sources(6), 12, 6
    code = model.encode(context, n)
    law = fertilities(model, context, n).softmax(-1)
    assert torch.equal(greedy(model, context, n), copied(model, context, n, law.argmax(-1)))
    mean = sum(value * law[..., value] for value in range(3)).round().long()
    assert torch.equal(average(model, context, n), copied(model, context, n, mean))
    assert not torch.equal(mean, law.argmax(-1))
    x = torch.cat([mean, torch.zeros(len(mean), n - s, dtype=torch.long)], dim=1)
    assert torch.equal(average(model, context, n), model(x, code)[:, s:].argmax(-1))
    assert list(decodings(model)) == ["argmax", "average"]


def test_noisy_decoding_finds_the_candidate_that_the_teacher_prefers():
    model, teacher, n = built("parallel_nmt:tiny"), built("nmt_teacher:tiny", 2), 6
    context = {"source": torch.tensor([[1, 3, 0], [2, 1, 0], [3, 0, 0]])}
    wide = {"source": pad(context["source"], (0, 5))}
    with torch.no_grad():
        model.fertility.weight.mul_(0.1)  # each of the 27 is drawn
    best = [(-float("inf"), None)] * 3
    for fertility in product(range(3), repeat=3):
        found = copied(model, context, n, torch.tensor([fertility] * 3))
        padded = pad(found, (0, 5))
        scores = teacher.distribution.log_prob(teacher(padded, teacher.encode(wide, 8)), padded)
        for i, row in enumerate(found):
            said = until_end(row.numpy()).tolist()
            best[i] = max(best[i], (float(scores[i, : len(said) + 1].sum()), said))  # the end is scored, padding is not
    found = noisy(teacher, 8, 200)(model, context, n)
    assert [until_end(row.numpy()).tolist() for row in found] == [said for _, said in best]
    assert torch.equal(noisy(teacher, 8, 3)(model, context, n), noisy(teacher, 8, 3)(model, context, n))


def test_one_draw_of_certain_fertilities_is_the_argmax():
    model, teacher = built("parallel_nmt:tiny"), built("nmt_teacher:tiny", 2)
    with torch.no_grad():
        model.fertility.weight.zero_()
        model.fertility.bias.copy_(one_hot(torch.tensor(1), 3) * 200.0)
    assert torch.equal(noisy(teacher, 8, 2)(model, sources(6), 12), greedy(model, sources(6), 12))

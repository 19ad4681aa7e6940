"""Tests of sequence to sequence: a source read backwards, attention to all of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.seq2seq import Seq2Seq


@pytest.fixture(autouse=True)
def no_grad() -> object:
    with torch.no_grad():
        yield


def by_hand(model: Seq2Seq, x: Tensor, source: Tensor) -> Tensor:
    """Return the logits (N, levels) of one translation, from the paper's equations."""
    read, state = model.encoder(model.source_embedding[source.flip(0)].unsqueeze(0))
    begin = model.embedding[-1:]
    hidden, _ = model.decoder(torch.cat([begin, model.embedding[x[:-1]]]).unsqueeze(0), state)
    rows = []
    for h in hidden[0]:
        a = torch.softmax(read[0] @ h, dim=0)
        context = (a.unsqueeze(1) * read[0]).sum(0)
        rows.append(torch.tanh(torch.cat([context, h]) @ model.attend) @ model.out)
    return torch.stack(rows)


@pytest.mark.parametrize("spec", ["tiny", "small"])
def test_logits_are_those_of_the_equations(spec: str) -> None:
    model = resolve(f"seq2seq:{spec}").build(dtype=torch.float64)
    x, context = model.observe(21, [0, 1], seed=0)
    found = model(x, model.encode(context, 21))
    for row in range(2):
        expected = by_hand(model, x[row], context["source"][row])
        assert torch.allclose(found[row], expected, rtol=0, atol=1e-12)


def test_every_symbol_of_the_source_matters_to_every_element() -> None:
    model = resolve("seq2seq:tiny").build(dtype=torch.float64)
    x, context = model.observe(8, [0], seed=0)
    before = model(x, model.encode(context, 8))
    for at in range(8):
        source = context["source"].clone()
        source[0, at] = (source[0, at] + 1) % 4
        assert ((model(x, model.encode({"source": source}, 8)) != before).any(-1)).all(), at


def test_a_source_may_be_of_another_length() -> None:
    model = resolve("seq2seq:tiny").build(dtype=torch.float64)
    x, context = model.observe(8, [0], seed=0)
    code = model.encode({"source": context["source"][:, :3]}, 8)
    assert code.memory.shape == (1, 3, 7)
    assert model(x, code).shape == (1, 8, 4)


@pytest.mark.slow
def test_the_published_preset_scores_and_samples() -> None:
    model = resolve("seq2seq:luong").build()
    # three tables, encoder and decoder of 4 layers, W_c and W_s; the first element's vector
    assert model.weights(8) == 3 * 50_000_000 + 2 * 4 * (8 * 1000**2 + 8000) + 2_000_000 + 1000
    x, context = model.observe(8, [0], seed=0)
    noise = model.distribution.noise(0, [0], range(8), torch.float32)
    found = {
        m.name: m.run(model, Task(8, context, x=x, noise=noise))
        for m in methods_for(model)
        if m.name in ("parallel", "sequential", "cached")
    }
    assert (found["parallel"].log_prob < 0).all()
    assert torch.allclose(found["sequential"].log_prob, found["parallel"].log_prob, rtol=0, atol=1e-4)
    assert found["cached"].x.shape == (1, 8)


def test_misuse_is_one_line() -> None:
    with pytest.raises(ModelError) as caught:
        resolve("seq2seq:tiny,levels=2").build()
    assert str(caught.value) == (
        "model 'seq2seq:tiny,levels=2': translation needs at least 3 levels, an end and two symbols; got 2"
    )

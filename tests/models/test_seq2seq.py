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


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_without_attention_logits_are_a_product_with_the_decoder(cell: str) -> None:
    model = resolve(f"seq2seq:tiny_gru,cell={cell}").build(dtype=torch.float64)
    x, context = model.observe(9, [0, 1], seed=0)
    _, state = model.encoder(model.source_embedding[context["source"].flip(1)])
    begin = model.embedding[-1].expand(2, 1, -1)
    hidden, _ = model.decoder(torch.cat([begin, model.embedding[x[:, :-1]]], dim=1), state)
    expected = torch.einsum("bnh,hl->bnl", hidden, model.out) + model.out_bias
    assert torch.allclose(model(x, model.encode(context, 9)), expected, rtol=0, atol=1e-12)


def test_layers_of_gru_follow_the_equations() -> None:
    stack = resolve("seq2seq:tiny_gru").build(dtype=torch.float64).decoder
    x = torch.randn(1, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = torch.randn(2, 1, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected, ends = x[0], []
    for layer, h in enumerate(state[:, 0]):
        w, u, b, d = (one.unflatten(0, (3, 7)) for one in stack.gru.all_weights[layer])
        rows = []
        for row in expected:
            reset, keep = (torch.sigmoid(w[i] @ row + b[i] + u[i] @ h + d[i]) for i in (0, 1))
            h = keep * h + (1 - keep) * torch.tanh(w[2] @ row + b[2] + reset * (u[2] @ h + d[2]))
            rows.append(h)
        expected = torch.stack(rows)
        ends.append(h)
    found, (final,) = stack(x, (state,))
    assert torch.allclose(found[0], expected, rtol=0, atol=1e-12)
    assert torch.allclose(final[:, 0], torch.stack(ends), rtol=0, atol=1e-12)
    carry = stack.start(1, (state,))
    steps = [stack.advance(carry, row, stack.step)[0] for row in x.unbind(1)]
    assert torch.allclose(torch.stack(steps), expected, rtol=0, atol=1e-12)
    assert torch.allclose(torch.stack(carry.hidden), final, rtol=0, atol=1e-12)
    assert carry.cell == []


WORDS = (("cat", "K AE1 T"), ("tomato", "T AH0 M EY1 T OW2"), ("a", "AH0"))


def test_a_word_is_read_up_to_its_end() -> None:
    model = resolve("seq2seq:g2p").build(dtype=torch.float64)
    x, context = model.observe(9, range(8), 0, WORDS)
    together = model(x, model.encode(context, 9))
    for row in range(8):
        source = context["source"][row]
        end = int((source == 2).nonzero()[0])
        alone = model(x[row : row + 1], model.encode({"source": source[None, : end + 1]}, 9))
        assert torch.allclose(together[row], alone[0], rtol=0, atol=1e-12)
        other = {"source": torch.cat([source[: end + 1], torch.randint(29, (20,))])[None]}
        assert torch.allclose(model(x[row : row + 1], model.encode(other, 9)), alone, rtol=0, atol=1e-12)
        shorter = model(x[row : row + 1], model.encode({"source": source[None, :end]}, 9))
        assert not torch.allclose(shorter, alone, rtol=0, atol=1e-6)


def test_words_are_scored_and_sampled_by_every_method() -> None:
    model = resolve("seq2seq:g2p").build(dtype=torch.float64)
    assert model.weights(9) == 834_890
    x, context = model.observe(9, range(3), 0, WORDS)
    noise = model.distribution.noise(0, range(3), range(9), torch.float64)
    found = {
        m.name: m.run(model, Task(9, context, x=x, noise=noise)) for m in methods_for(model) if m.name != "rejection"
    }
    assert torch.allclose(found["sequential"].log_prob, found["parallel"].log_prob, rtol=0, atol=1e-10)
    for name in ("cached", "fixed_point", "blocks", "forecast", "speculative"):
        assert (found[name].x == found["naive"].x).all(), name


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("tiny,levels=2", "translation needs at least 3 levels, an end and two symbols; got 2"),
        ("tiny,cell=rnn", "no cell 'rnn'; available: lstm, gru"),
        ("tiny,kind=speech", "no kind 'speech'; available: translation, phonemes"),
        ("g2p,levels=75", "there are 74 levels of phonemes; got 75"),
        ("g2p,layers=2", "words are read by 1 layer with cell 'gru'; got 2 with cell 'gru'"),
        ("g2p,cell=lstm", "words are read by 1 layer with cell 'gru'; got 1 with cell 'lstm'"),
    ],
)
def test_misuse_is_one_line(spec: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"seq2seq:{spec}").build()
    assert str(caught.value) == f"model 'seq2seq:{spec}': {said}"

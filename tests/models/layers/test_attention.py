"""Tests of the parts of a transformer, against their definitions written out."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, exp, sin

import pytest
import torch
from torch import Tensor

from arbench.models.layers.attention import Attention, FeedForward, Init, Stack, later, padding, sinusoids


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def init(std: float | None = None, residual: float = 1.0) -> Init:
    return Init(torch.Generator().manual_seed(0), std, residual)


def random(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(1))


def by_hand(a: Attention, query: Tensor, source: Tensor, seen: Tensor) -> Tensor:
    """Attend from query (M, D) to source (S, D), ``seen`` (M, S) bool, by sums of exponentials."""
    weight, bias, width = a.inputs.weight, a.inputs.bias, a.width
    q, k, v = (
        x @ weight[i * width : (i + 1) * width].T + bias[i * width : (i + 1) * width]
        for i, x in enumerate((query, source, source))
    )
    each, found = width // a.heads, torch.zeros_like(q)
    for i in range(len(query)):
        for head in range(a.heads):
            part = slice(head * each, (head + 1) * each)
            powers = [
                exp(float(q[i, part] @ k[j, part]) / each**0.5) if seen[i, j] else 0.0 for j in range(len(source))
            ]
            found[i, part] = sum(p / sum(powers) * v[j, part] for j, p in enumerate(powers))
    return found @ a.out.weight.T + a.out.bias


def test_attention_is_what_it_is_defined_as() -> None:
    a = Attention(6, 3, init()).double()
    a.inputs.bias.copy_(random(18))
    x, source = random(2, 5, 6), random(2, 4, 6) + 1
    every, past = torch.ones(5, 5).bool(), torch.ones(5, 5).tril().bool()
    for causal, seen in ((False, every), (True, past)):
        assert torch.allclose(a(x, causal=causal)[1], by_hand(a, x[1], x[1], seen), rtol=0, atol=1e-12)
    some = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0]]).bool()
    found = a.recall(x, a.remember(source, some))
    for row in range(2):
        expected = by_hand(a, x[row], source[row], some[row].expand(5, 4))
        assert torch.allclose(found[row], expected, rtol=0, atol=1e-12)
    apart = a.between(x, source, source, mask=padding(some, x))
    assert torch.allclose(apart, found, rtol=0, atol=1e-12)


def test_what_is_not_to_be_seen_may_be_anything() -> None:
    a = Attention(6, 2, init()).double()
    x, source = random(1, 3, 6), random(1, 4, 6)
    seen = torch.tensor([[True, True, False, False]])
    before = a.recall(x, a.remember(source, seen))
    source[:, 2:] = 1e6
    assert torch.equal(a.recall(x, a.remember(source, seen)), before)


def test_later_positions_are_masked() -> None:
    like = torch.zeros(0)
    inf = torch.inf
    assert later(3, 4, like) is None
    assert torch.equal(later(0, 2, like), torch.tensor([[0, -inf], [0, 0]]))
    assert torch.equal(later(1, 3, like), torch.tensor([[0, 0, -inf], [0, 0, 0]]))


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_cache_that_went_back_is_as_one_that_did_not(norm_first: bool) -> None:
    stack = Stack(2, 8, 2, 12, init(), norm_first=norm_first).double()
    x = random(2, 9, 8)
    expected = stack(x, causal=True)
    cache = stack.start(2, 9)
    stack.extend(x[:, :4], cache)
    for _ in range(2):
        stack.extend(-x[:, 4:], cache)
        assert cache.t == 9
        cache.t = 4
    assert torch.allclose(stack.extend(x[:, 4:], cache), expected[:, 4:], rtol=0, atol=1e-12)
    with pytest.raises(IndexError, match="cache has room for 9 positions, got 10"):
        stack.extend(x[:, :1], cache)


def test_a_step_reads_no_slot_that_is_not_written() -> None:
    stack = Stack(2, 8, 2, 12, init()).double()
    x = random(2, 6, 8)
    cache = stack.start(2, 6)
    for slots in cache.slots:
        slots.fill_(torch.nan)
    found = torch.cat([stack.extend(x[:, t : t + 1], cache) for t in range(6)], dim=1)
    assert torch.allclose(found, stack(x, causal=True), rtol=0, atol=1e-12)


def test_sinusoids_are_the_published_ones() -> None:
    table = sinusoids(50, 6, torch.zeros(0, dtype=torch.float64))
    for t in (0, 1, 49):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert float(table[t, 2 * i]) == pytest.approx(sin(angle), abs=1e-12)
            assert float(table[t, 2 * i + 1]) == pytest.approx(cos(angle), abs=1e-12)
    assert sinusoids(3, 5, torch.zeros(0, dtype=torch.float16)).dtype == torch.float16


def test_weights_start_as_stated() -> None:
    wide = Attention(256, 4, init())
    assert float(wide.inputs.weight.std()) == pytest.approx(1 / 16, rel=0.02)
    assert not wide.inputs.bias.any()
    narrow = FeedForward(256, 1024, "gelu", init(0.02, 0.5))
    assert float(narrow.hidden.weight.std()) == pytest.approx(0.02, rel=0.02)
    assert float(narrow.out.weight.std()) == pytest.approx(0.01, rel=0.02)
    assert float(init().table(512, 64).std()) == pytest.approx(1 / 8, rel=0.02)
    before = torch.get_rng_state()
    Stack(1, 8, 2, 8, init())
    assert torch.equal(torch.get_rng_state(), before)


def test_misuse() -> None:
    with pytest.raises(ValueError, match="width 8 cannot be split into 3 heads"):
        Attention(8, 3, init())
    with pytest.raises(ValueError, match="at least one layer, got 0"):
        Stack(0, 8, 2, 8, init())
    with pytest.raises(ValueError, match="no activation 'tanh'; available: relu, gelu, gelu_tanh"):
        FeedForward(8, 8, "tanh", init())

"""Tests of Parallel NMT: fertilities that say what is copied, and a distribution over all events."""

from __future__ import annotations

from itertools import product
from math import sqrt

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.layers.attention import Attention, Residual
from arbench.models.layers.parallel_decoder import visible
from arbench.models.parallel_nmt import ParallelNMT

TINY = dict(layers=2, width=8, heads=2, hidden=12)


@pytest.fixture(autouse=True)
def no_grad() -> object:
    with torch.no_grad():
        yield


def made(levels: int, fertilities: int) -> ParallelNMT:
    """Return a tiny model in float64 whose draws depend on their inputs."""
    model = ParallelNMT(**TINY, levels=levels, fertilities=fertilities, seed=1).double().eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.add_(torch.empty_like(parameter).normal_(0, 0.3, generator=generator))
    return model


def run(model: ParallelNMT, name: str, task: Task) -> object:
    return next(m for m in methods_for(model) if m.name == name).run(model, task)


def every_event(model: ParallelNMT, n: int) -> tuple[Tensor, Tensor]:
    """Return all events (P^N, N) over one source, and their probabilities."""
    x = torch.cartesian_prod(*[torch.arange(model.distribution.levels)] * n)
    source = model.observe(n, [4], seed=0)[1]["source"].expand(len(x), -1)
    found = run(model, "parallel", Task(n, {"source": source}, x=x))
    return x, found.log_prob.sum(1).exp()


@pytest.mark.parametrize(("levels", "fertilities"), [(3, 3), (3, 4), (4, 3)])
def test_the_marginal_over_fertilities_is_a_law_over_symbols(levels: int, fertilities: int) -> None:
    model, n, s = made(levels, fertilities), 5, 2
    p = model.distribution.levels
    _, joint = every_event(model, n)
    marginal = joint.view(p**s, p ** (n - s)).sum(0)
    assert (marginal >= 0).all()
    assert abs(float(marginal.sum()) - 1) <= 1e-12
    # the same by hand: a mixture over fertilities of products over symbols
    code = model.encode({"source": model.observe(n, [4], seed=0)[1]["source"]}, n)
    law = code.fertility.softmax(-1)[0]
    by_hand = torch.zeros([p] * (n - s), dtype=torch.float64)
    for f in product(range(fertilities), repeat=s):
        one, two, three = model._symbols(torch.tensor([f]), code).softmax(-1)[0]
        by_hand += law[0, f[0]] * law[1, f[1]] * torch.einsum("a,b,c->abc", one, two, three)
    assert (by_hand.flatten() - marginal).abs().max() <= 1e-12
    # the mixture is not itself a product over symbols
    a, b = by_hand.sum((1, 2)), by_hand.sum((0, 2))
    assert (by_hand.sum(2) - a[:, None] * b).abs().max() > 1e-3


@pytest.mark.parametrize(("levels", "fertilities"), [(3, 4), (4, 3)])
def test_what_cannot_be_has_no_probability(levels: int, fertilities: int) -> None:
    model, n, s = made(levels, fertilities), 5, 2
    x, joint = every_event(model, n)
    fertility, symbols = x[:, :s], x[:, s:]
    beyond = torch.arange(n - s) >= fertility.sum(1, keepdim=True)
    possible = (fertility < fertilities).all(1) & (symbols < levels).all(1) & ((symbols == 0) | ~beyond).all(1)
    assert torch.equal(joint > 0, possible)


def test_beyond_the_sum_of_fertilities_all_is_certain() -> None:
    model, n = made(4, 3), 9
    f = torch.tensor([[1, 0, 1, 0] + [0] * 5])
    source = model.observe(n, [0], seed=0)[1]
    law = model(f, model.encode(source, n)).softmax(-1)[0, 4:]
    assert (law[:2] > 1e-6).all()
    assert (law[2:, 0] == 1).all()
    assert (law[2:, 1:] == 0).all()


def test_padding_of_the_source_is_not_copied() -> None:
    model, n = made(4, 3), 13
    source = torch.tensor([[1, 2, 0, 3, 0, 0], [1, 0, 0, 0, 0, 0]])
    code = model.encode({"source": source}, n)
    never = code.fertility.softmax(-1)[..., 0] == 1
    assert never.tolist() == [[False] * 5 + [True], [False] * 2 + [True] * 4]
    assert (code.fertility.log_softmax(-1)[never][:, 0] == 0).all()


def test_a_sum_above_the_length_is_cut() -> None:
    model, n = made(4, 3), 5
    source = model.observe(n, [0], seed=0)[1]
    code = model.encode(source, n)
    first = model._symbols(torch.tensor([[2, 1]]), code)
    assert torch.equal(first, model._symbols(torch.tensor([[2, 2]]), code))
    assert not torch.equal(first, model._symbols(torch.tensor([[1, 2]]), code))


def test_a_position_sees_all_others_within_and_itself_only_where_alone() -> None:
    inside = torch.tensor([[True, True, True, False], [True, False, False, False], [False] * 4])
    seen = visible(inside, torch.zeros(())) == 0
    assert seen[0, 0].int().tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert seen[1, 0].int().tolist() == [[1, 0, 0, 0]] * 4
    assert torch.equal(seen[2, 0], torch.eye(4, dtype=torch.bool))


def attend(a: Attention, query: Tensor, key: Tensor, value: Tensor, allowed: list[list[int]]) -> Tensor:
    """Compute multi-head attention of one row, position by position."""
    d, h = a.width, a.width // a.heads
    q, k, v = (
        x @ w.T + b
        for x, w, b in zip((query, key, value), a.inputs.weight.split(d), a.inputs.bias.split(d), strict=True)
    )
    rows = []
    for t, places in enumerate(allowed):
        heads = []
        for i in range(0, d, h):
            scores = torch.stack([q[t, i : i + h] @ k[j, i : i + h] for j in places]) / sqrt(h)
            heads.append(scores.softmax(0) @ v[places, i : i + h])
        rows.append(torch.cat(heads))
    return torch.stack(rows) @ a.out.weight.T + a.out.bias


def test_logits_are_those_of_a_plain_implementation() -> None:
    model, n, s, t = made(4, 4), 9, 4, 5
    f = torch.tensor([[2, 0, 1, 0, 3, 1, 2, 0, 0]])
    source = torch.tensor([[1, 3, 2, 0]])
    angle = [[p / 10_000 ** (c // 2 * 2 / 8) for c in range(8)] for p in range(t)]
    place = torch.tensor(angle, dtype=torch.float64)
    place = torch.stack([x.cos() if c % 2 else x.sin() for c, x in enumerate(place.T)], dim=1)

    def normed(residual: Residual, x: Tensor) -> Tensor:
        return layer_norm(x, (8,), residual.norm.weight, residual.norm.bias)

    def fed(layer: object, x: Tensor) -> Tensor:
        inner = (x @ layer.hidden.weight.T + layer.hidden.bias).clamp_min(0)
        return inner @ layer.out.weight.T + layer.out.bias

    read = model.embedding[source[0]] * sqrt(8) + place[:s]
    everywhere, x = [list(range(s))] * t, read
    for layer in model.encoder.layers:
        x = normed(layer.attention_residual, x + attend(layer.attention, x, x, x, everywhere[:s]))
        x = normed(layer.feed_forward_residual, x + fed(layer.feed_forward, x))
    encoded = x
    x = read[[0, 0, 2, 3, 3]] + place  # the last two positions have no copy
    others = [[1, 2], [0, 2], [0, 1], [0, 1, 2], [0, 1, 2]]
    for layer in model.decoder.layers:
        first, second, third, last = layer.residuals
        x = normed(first, x + attend(layer.attention, x, x, x, others))
        x = normed(second, x + attend(layer.positional, place, place, x, others))
        x = normed(third, x + attend(layer.cross, x, encoded, encoded, everywhere))
        x = normed(last, x + fed(layer.feed_forward, x))
    fertility = encoded @ model.fertility.weight.T + model.fertility.bias
    symbols = x @ model.embedding.T + model.out_bias
    found = model(f, model.encode({"source": source}, n))[0]
    assert (found[:s] - fertility).abs().max() <= 1e-10
    assert (found[s : s + 3] - symbols[:3]).abs().max() <= 1e-10


def test_real_pairs_are_possible_and_copied_along_the_diagonal() -> None:
    model = resolve("parallel_nmt:small").build()
    x, context = model.observe(96, range(40), seed=2)
    fertility, target = x[:, :48], x[:, 48:]
    assert (fertility[context["source"] != 0].float().mean() - 1).abs() < 0.5
    assert ((target == 0) | (torch.arange(48) < fertility.sum(1, keepdim=True))).all()
    score = run(model, "parallel", Task(96, context, x=x)).log_prob
    assert score.min() > -1000
    assert (target[:, 0] != 0).all()


def test_a_translation_longer_than_can_be_copied_is_cut(tmp_path: object) -> None:
    path = tmp_path / "a.tsv"  # type: ignore[operator]
    path.write_text("ab\tuvwxyz\n", encoding="utf-8")
    model = resolve("parallel_nmt:small,fertilities=3").build()
    data = ParallelNMT.load_data(str(path), {})
    x, context = model.observe(16, [0], seed=0, data=data)
    assert bytes(context["source"][0].tolist()) == b"ab\0\0\0\0\0\0"
    assert x[0, :8].tolist() == [2, 2, 1, 0, 0, 0, 0, 0]
    assert bytes(x[0, 8:].tolist()) == b"uvwxy\0\0\0"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("levels=2", "translation needs at least 3 levels, an end and two symbols; got 2"),
        ("fertilities=1", "fertilities must be at least 2, zero and one; got 1"),
        ("heads=3", "attention of width 8 cannot be split into 3 heads"),
    ],
)
def test_settings_that_make_no_model(settings: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"^model 'parallel_nmt:tiny,{settings}': {message}$"):
        resolve(f"parallel_nmt:tiny,{settings}").build()


def test_one_element_is_no_event() -> None:
    with pytest.raises(ValueError, match=r"at least 2 elements, a fertility and a symbol; got 1$"):
        resolve("parallel_nmt:tiny").build().schedule(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "layers", "d", "hidden", "weights"),
    [
        ("base", 6, 512, 2048, 50_605_362),
        ("released", 6, 512, 512, 31_712_562),
        ("iwslt", 5, 278, 507, 9_133_784),
    ],
)
def test_published_presets(preset: str, layers: int, d: int, hidden: int, weights: int) -> None:
    model = resolve(f"parallel_nmt:{preset}").build()
    attention, norm, onward = 4 * d * d + 4 * d, 2 * d, 2 * d * hidden + hidden + d
    encoder, decoder = attention + 2 * norm + onward, 3 * attention + 4 * norm + onward
    assert model.weights(64) == weights == 256 * d + 256 + layers * (encoder + decoder) + 50 * d + 50
    x, context = model.observe(64, [0, 1], seed=0)
    score = run(model, "parallel", Task(64, context, x=x)).log_prob
    assert score.isfinite().all()
    assert -1000 < score.sum(1).min() < 0
    noise = model.distribution.noise(0, [0, 1], range(64))
    drawn = [run(model, name, Task(64, context, noise=noise)).x for name in ("naive", "cached")]
    assert torch.equal(*drawn)
    assert drawn[0][:, :32].max() < 50

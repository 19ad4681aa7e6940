"""Tests of the transformer: against a plain one, at published size, its caches, misuse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from arbench.meters import count
from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve
from arbench.models.layers.attention import Attention, Stack, TransformerLayer
from arbench.models.transformer import Transformer


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def made(spec: str, dtype: torch.dtype = torch.float64) -> Transformer:
    """Return a model whose biases and normalisations differ from their initial values."""
    model = resolve(spec).build(seed=1, dtype=dtype)
    assert isinstance(model, Transformer)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.1, generator=generator))
    return model


# A plain transformer: one row, one matrix at a time ----------------------------------------------------


def product(x: Tensor, weights: nn.Linear, rows: slice = slice(None)) -> Tensor:
    return (weights.weight[rows] @ x.T).T + weights.bias[rows]


def normalised(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    variance = (centred**2).mean(1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * norm.weight + norm.bias


def attended(a: Attention, x: Tensor, source: Tensor, causal: bool) -> Tensor:
    width, each = a.width, a.width // a.heads
    q, k, v = (product(y, a.inputs, slice(i * width, (i + 1) * width)) for i, y in enumerate((x, source, source)))
    heads = []
    for h in range(0, width, each):
        scores = q[:, h : h + each] @ k[:, h : h + each].T / each**0.5
        if causal:
            allowed = torch.ones(len(x), len(source), dtype=torch.bool).tril()
            scores = scores.masked_fill(~allowed, -torch.inf)
        heads.append(scores.softmax(1) @ v[:, h : h + each])
    return product(torch.cat(heads, 1), a.out)


def activated(x: Tensor, gelu: bool) -> Tensor:
    if not gelu:
        return x.clamp_min(0)
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


def stacked(stack: Stack, x: Tensor, source: Tensor | None, gelu: bool, causal: bool) -> Tensor:
    for layer in stack.layers:
        assert isinstance(layer, TransformerLayer)
        parts = [(layer.attention_residual, lambda h, a=layer.attention: attended(a, h, h, causal))]
        if source is not None:
            parts.append((layer.cross_residual, lambda h, a=layer.cross: attended(a, h, source, False)))
        forward = layer.feed_forward
        hidden = lambda h, f=forward: activated(product(h, f.hidden), gelu)  # noqa: E731
        parts.append((layer.feed_forward_residual, lambda h, f=forward, g=hidden: product(g(h), f.out)))
        for residual, part in parts:
            if residual.norm_first:
                x = x + part(normalised(x, residual.norm))
            else:
                x = normalised(x + part(x), residual.norm)
    return normalised(x, stack.norm) if isinstance(stack.norm, nn.LayerNorm) else x


def waves(n: int, width: int) -> Tensor:
    table = torch.zeros(n, width, dtype=torch.float64)
    rate = 10_000 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    table[:, 0::2] = torch.outer(torch.arange(n).double(), rate).sin()
    table[:, 1::2] = torch.outer(torch.arange(n).double(), rate).cos()
    return table


def plain(model: Transformer, tokens: Tensor, gelu: bool, source: Tensor | None = None) -> Tensor:
    """Return the logits (N, levels) of one event (N,)."""
    scale = model.width**0.5 if model.scale != 1 else 1.0
    n = len(tokens)
    x = torch.stack([model.embedding[model.begin], *(model.embedding[int(t)] for t in tokens[:-1])]) * scale
    x = x + (waves(n, model.width) if model.positions is None else model.positions[:n])
    memory = None
    if source is not None and model.encoder is not None and model.source_embedding is not None:
        memory = torch.stack([model.source_embedding[int(s)] for s in source]) * scale
        memory = stacked(model.encoder, memory + waves(len(source), model.width), None, gelu, causal=False)
    x = stacked(model.decoder, x, memory, gelu, causal=True)
    return x @ (model.embedding[: model.levels] if model.logits is None else model.logits).T


@pytest.mark.parametrize("spec", ["small", "digits,classes=0", "digit_from_word", "word_from_digit"])
def test_logits_are_those_of_a_plain_transformer(spec: str) -> None:
    model = made(f"transformer:{spec}")
    n = model.count_ladder[-1]
    x, context = model.observe(n, [0, 1], seed=0)
    found = model(x, model.encode(context, n))
    source = context.get("source")
    for row in range(2):
        expected = plain(model, x[row], spec == "small", None if source is None else source[row])
        assert torch.allclose(found[row], expected, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_gpt2_small_is_as_published() -> None:
    model = made("transformer:gpt2_small", torch.float32)
    assert model.weights(1024) == 124_439_808
    x, context = model.observe(40, [0], seed=0)
    found = model(x, model.encode(context, 40))
    expected = plain(model, x[0], gelu=True)
    for at in (0, 1, 17, 39):
        assert torch.allclose(found[0, at], expected[at], rtol=0, atol=2e-4), at
    assert found.std() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("preset", [p for p in Transformer.presets if not p.startswith("tiny")])
def test_published_presets_score_and_sample(preset: str) -> None:
    model = resolve(f"transformer:{preset}").build()
    n = model.ladder[0]
    x, context = model.observe(n, [0, 1], seed=0)
    noise = model.distribution.noise(0, [0, 1], range(n))

    def run(name: str, **what: Tensor) -> object:
        method = next(m for m in methods_for(model) if m.name == name)
        return method.run(model, Task(n, context, **what))

    log_prob = run("parallel", x=x).log_prob
    assert log_prob.isfinite().all()
    assert (log_prob < 0).all()
    drawn = run("cached", noise=noise).x
    assert drawn.shape == (2, n)
    assert torch.equal(run("speculative", noise=noise).x, drawn)


@pytest.mark.parametrize(
    ("spec", "weights"),
    [
        ("small", 957_312),  # 257 and 1,024 vectors of 128; 4 layers of 198,272; the last normalisation
        ("base", 19_045_888),  # 257 vectors of 512; 6 layers of 3,152,384
    ],
)
def test_weights_are_counted(spec: str, weights: int) -> None:
    assert resolve(f"transformer:{spec}").build().weights(64) == weights


# Cost of steps ----------------------------------------------------------------------------------


def test_a_step_costs_as_much_as_there_is_past() -> None:
    """The work of step t is a + b t, whatever N the cache was made for."""
    model = resolve("transformer:tiny").build()

    def step(t: int, n: int) -> int:
        f = torch.zeros(1, n, dtype=torch.long)
        state = model.start(1, n, model.encode({}, n))
        if t:
            model.extend(state, f, 0, t)
        return count(lambda: model.extend(state, f, t, t + 1)).flops

    costs = [step(t, 64) for t in range(1, 6)]
    assert len({b - a for a, b in pairwise(costs)}) == 1
    assert costs[1] > costs[0]
    assert step(5, 6) == costs[-1]


def test_going_back_costs_nothing() -> None:
    model = resolve("transformer:tiny").build()
    f = torch.zeros(1, 32, dtype=torch.long)
    state = model.start(1, 32, model.encode({}, 32))
    mark = model.mark(state, 0)
    model.extend(state, f, 0, 32)
    assert count(lambda: model.rewind(state, mark, f, 7)).ops == 0


def test_the_source_is_encoded_once_a_draw() -> None:
    model = made("transformer:tiny_source")
    _, context = model.observe(9, [0], seed=0)
    calls = []
    assert model.encoder is not None
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    noise = model.distribution.noise(0, [0], range(9))
    next(m for m in methods_for(model) if m.name == "cached").run(model, Task(9, context, noise=noise))
    assert calls == [1]


# Misuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tiny,heads=3", "attention of width 8 cannot be split into 3 heads"),
        ("tiny,kind=smell", "no kind of events 'smell'; available: text, pixels"),
        ("tiny,source_levels=3", "Text has no source"),
        ("tiny,activation=tanh", "no activation 'tanh'; available: relu"),
        ("tiny_source,encoder_layers=0", "a source needs an encoder: set encoder_layers to 1 or more"),
        ("tiny,begin=4", "begin must be a token from 0 to 3, got 4"),
    ],
)
def test_settings_that_make_no_model(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        resolve(f"transformer:{spec}").build()


def test_no_more_elements_than_learned_positions() -> None:
    model: Source = resolve("transformer:tiny").build()
    assert model.schedule(256)[-1] == 256
    with pytest.raises(ValueError, match="at most 256 elements, the learned positions; got 257"):
        model.schedule(257)
    assert resolve("transformer:base").build().schedule(5000)[-1] == 5000


def test_a_draft_is_shallower_and_of_the_same_events() -> None:
    for preset, config in Transformer.presets.items():
        draft = Transformer.drafting(config)
        assert draft["layers"] < config["layers"], preset
        changed = {key for key in config if config[key] != draft[key]}
        assert changed <= {"layers", "encoder_layers"}, preset

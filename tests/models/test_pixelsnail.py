"""Tests of PixelSNAIL: against a plain one, and at published size."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import elu, pad

from arbench.models import resolve
from arbench.models.layers.pixel_attention import attend
from arbench.models.layers.shifted import GatedResnet
from arbench.models.layers.weight_norm import WeightNormed
from arbench.models.pixelsnail import PixelSNAIL


@pytest.fixture(autouse=True)
def no_grad() -> Any:
    with torch.no_grad():
        yield


@cache
def stirred(spec: str) -> PixelSNAIL:
    """Return a model in float64 without zero biases, built once: no test may change it."""
    source = resolve(spec).build(dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    for parameter in source.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.3, generator=generator)
    assert isinstance(source, PixelSNAIL)
    return source


def product(layer: Any, x: Tensor) -> Tensor:
    assert isinstance(layer, WeightNormed)
    weight, bias = layer.folded()
    return x @ weight + bias


def resnet(layer: Any, x: Tensor, extra: Tensor | None = None, square: bool = False) -> Tensor:
    """Convolve 1x1, or over a pixel, its predecessor and the two above these."""
    assert isinstance(layer, GatedResnet)

    def around(x: Tensor) -> Tensor:
        if not square:
            return x
        above, padded = pad(x[:, :-1], (0, 0, 1, 0, 1, 0)), pad(x, (0, 0, 1, 0))
        return torch.cat([above[..., :-1, :], above[..., 1:, :], padded[..., :-1, :], x], dim=-1)

    hidden = product(layer.first, around(layer.act(x)))
    if extra is not None:
        hidden = hidden + product(layer.join, layer.act(extra))
    a, b = product(layer.second, around(layer.act(hidden))).chunk(2, dim=-1)
    return x + a * b.sigmoid()


def plain(source: PixelSNAIL, f: Tensor) -> Tensor:
    """Return parameters (B, N, P), each pixel's attention by a loop over earlier pixels."""
    n = f.shape[1]
    side = source.side(n)
    x = source.channels(f, torch.float64).view(len(f), side, side, -1)
    pixels = x[..., :-1].flatten(1, 2)
    h = source.enter(x, source.encode({}, n))
    line = (torch.arange(side, dtype=torch.float64) - side / 2) / side
    places = torch.stack([line.repeat_interleave(side), line.repeat(side)], dim=-1).expand(len(f), -1, -1)
    for block in source._blocks():
        for layer in block.resnets:
            h = resnet(layer, h, square=True)
        flat, head = h.flatten(1, 2), block.attention
        slots = product(head.to_slot, resnet(head.of_content, torch.cat([pixels, flat, places], -1)))
        query = product(head.to_query, resnet(head.of_query, torch.cat([flat, places], -1)))
        keys, values = slots.split([head.key, head.value], dim=-1)
        mixed = [torch.zeros_like(values[:, 0])]
        for i in range(1, n):
            score = (query[:, i : i + 1] * keys[:, :i]).sum(-1) / head.key**0.5
            mixed.append((score.softmax(-1).unsqueeze(-1) * values[:, :i]).sum(1))
        h = resnet(head.joined, flat, torch.stack(mixed, 1)).view(h.shape)
    return product(source.params, elu(h)).flatten(1, 2)


@pytest.mark.parametrize("spec", ["pixelsnail:tiny", "pixelsnail:tiny_grey", "pixelsnail:digits"])
def test_it_is_a_plain_one(spec: str) -> None:
    source = stirred(spec)
    f, _ = source.observe(25, [0, 1], seed=2)
    assert torch.allclose(source(f, source.encode({}, 25)), plain(source, f), rtol=0, atol=1e-12)


def test_every_pixel_before_is_attended_to_and_none_after() -> None:
    """In a single block, attention reaches beyond the convolutions, back to the first pixel."""
    source = stirred("pixelsnail:tiny,blocks=1")
    f = torch.randint(8, (1, 49), generator=torch.Generator().manual_seed(1))
    code = source.encode({}, 49)
    before = source(f, code)
    for j in range(49):
        other = f.clone()
        other[0, j] = (other[0, j] + 5) % 8
        changed = (source(other, code) != before)[0].any(-1)
        assert not changed[: j + 1].any()
        assert changed[j + 1 :].all(), j


def test_nothing_before_is_zero() -> None:
    assert torch.equal(attend(torch.ones(2, 1, 3), torch.ones(2, 0, 7), 3), torch.zeros(2, 1, 4))


@pytest.mark.parametrize("at", [0, 1, 7, 10])
@pytest.mark.parametrize("back", [0, 1, 6, 16])
def test_going_back_within_a_row_to_the_marks_row_and_between(at: int, back: int) -> None:
    source = stirred("pixelsnail:tiny")
    f = torch.randint(8, (2, 36), generator=torch.Generator().manual_seed(1))
    code = source.encode({}, 36)
    expected, g = source(f, code), at + back
    state = source.start(2, 36, code)
    if at:
        _, state = source.extend(state, f, 0, at)
    mark = source.mark(state, at)
    wrong = torch.cat([f[:, : max(g - 1, at)], (f[:, max(g - 1, at) :] + 3) % 8], dim=1)
    for end in (g + 1, 34):
        _, state = source.extend(state, wrong, at, end)
        state = source.rewind(state, mark, f, g)
        params, state = source.extend(state, f, g, 36)
        assert (params - expected[:, g:]).abs().max() <= 1e-12
        state = source.rewind(state, mark, f, at)


def test_initialisation_from_data_makes_outputs_standard() -> None:
    source = resolve("pixelsnail:digits").build(dtype=torch.float64)
    f, _ = source.observe(64, range(16), seed=0)
    source.initialise(f, source.encode({}, 64))
    params = source(f, source.encode({}, 64)).flatten(0, 1)
    assert torch.allclose(params.mean(0), torch.zeros_like(params[0]), atol=1e-6)
    assert torch.allclose(params.std(0, correction=0), torch.ones_like(params[0]), rtol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(dict(blocks=0), "at least one block, got 0"), (dict(activation="relu"), "no activation 'relu'")],
)
def test_misuse_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelSNAIL(**{**PixelSNAIL.presets["tiny"], **wrong})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "logistics", "parameters"), [("cifar10", 10, 46_021_908), ("imagenet32", 32, 46_078_668)]
)
def test_the_published_models(preset: str, logistics: int, parameters: int) -> None:
    """Parameters are as many as the published code's variables, and steps agree with forward.

    The sum here is by layers: direction, gain and bias of each.
    """
    f, key, value = 256, 16, 128

    def layer(inputs: int, outputs: int) -> int:
        return inputs * outputs + 2 * outputs

    def gated(width: int, taps: int = 1) -> int:
        return layer(taps * width, width) + layer(taps * width, 2 * width)

    entries = layer(3 * 4, f) + layer(2 * 4, f)
    content, query = 3 + f + 2, f + 2
    heads = gated(content) + layer(content, key + value) + gated(query) + layer(query, key)
    joined = gated(f) + layer(value, f)
    total = entries + 12 * (4 * gated(f, 4) + heads + joined) + layer(f, 10 * logistics)
    source = resolve(f"pixelsnail:{preset}").build(dtype=torch.float64)
    assert source.weights(1024) == total == parameters
    x, _ = source.observe(36, [0], seed=0)
    code = source.encode({}, 36)
    expected, state = source(x, code), source.start(1, 36, code)
    params, _ = source.extend(state, x, 0, 15)
    assert (params - expected[:, :15]).abs().max() <= 1e-9
    assert source.distribution.log_prob(expected, x).isfinite().all()
    assert source.distribution.draw(params, source.distribution.noise(0, [0], range(15))).max() < 256**3

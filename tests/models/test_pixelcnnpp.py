"""Tests of PixelCNN++: against a plain one, at published size, and rewinding over rows of several sizes."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, elu, pad

from arbench.methods import METHODS, Task
from arbench.models import resolve
from arbench.models.layers.shifted import Conv, GatedResnet, Grow, concat_elu
from arbench.models.layers.weight_norm import WeightNormed
from arbench.models.pixelcnnpp import PixelCNNpp

TWICE = "pixelcnnpp:tiny,halvings=2,resnets=2"


@pytest.fixture(autouse=True)
def no_grad() -> Any:
    with torch.no_grad():
        yield


@cache
def stirred(spec: str) -> PixelCNNpp:
    """Return a model in float64 without zero biases, built once: no test may change it."""
    source = resolve(spec).build(dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    for parameter in source.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.3, generator=generator)
    assert isinstance(source, PixelCNNpp)
    return source


class Plain:
    """The network as the paper draws it: channels first, torch's convolutions, lists of short-cuts."""

    def __init__(self, source: PixelCNNpp, label: Tensor | None = None) -> None:
        self.source, self.label = source, label

    def conv(self, layer: Conv, x: Tensor) -> Tensor:
        weight, bias = layer.folded()
        rows, left, right = layer.kernel
        taps = weight.view(rows, layer.kernel.width, -1, len(bias)).permute(3, 2, 0, 1)
        return conv2d(pad(x, (left, right, rows - 1, 0)), taps, bias, stride=layer.stride)

    def nin(self, layer: WeightNormed, x: Tensor) -> Tensor:
        weight, bias = layer.folded()
        return torch.einsum("bihw,io->bohw", x, weight) + bias[:, None, None]

    def act(self, *parts: Tensor) -> Tensor:
        """Return the product with several inputs, one after the other."""
        return torch.cat([concat_elu(part.movedim(1, -1)).movedim(-1, 1) for part in parts], dim=1)

    def resnet(self, layer: Any, x: Tensor, *others: Tensor) -> Tensor:
        assert isinstance(layer, GatedResnet)
        hidden = self.conv(layer.first, self.act(x))
        if others:
            assert layer.join is not None
            hidden = hidden + self.nin(layer.join, self.act(*others))
        out = self.conv(layer.second, self.act(hidden))
        if layer.by_class is not None and self.label is not None:
            out = out + layer.by_class[self.label][:, :, None, None]
        a, b = out.chunk(2, dim=1)
        return x + a * b.sigmoid()

    def grow(self, layer: Any, x: Tensor) -> Tensor:
        assert isinstance(layer, Grow)
        weight, bias = layer.folded()
        rows, _, right = layer.kernel
        taps = weight.view(-1, rows, layer.kernel.width, len(bias)).permute(0, 3, 1, 2)
        out = conv_transpose2d(x, taps, bias, stride=2)
        return out[:, :, : 2 * x.shape[2], right : right + 2 * x.shape[3]]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the parameters (B, P, H, W) of images x (B, C + 1, H, W)."""
        s = self.source
        below, after = (lambda t: pad(t[:, :, :-1], (0, 0, 1, 0))), (lambda t: pad(t[..., :-1], (1, 0)))
        us = [below(self.conv(s.enter_above, x))]
        uls = [below(self.conv(s.enter.above, x)) + after(self.conv(s.enter.before, x))]
        up, left = s.above, s.left
        levels = range(up.halvings + 1)
        for level in levels:
            for one, other in zip(up.down[level], left.down[level], strict=True):
                us.append(self.resnet(one, us[-1]))
                uls.append(self.resnet(other, uls[-1], us[-1]))
            if level < up.halvings:
                us.append(self.conv(up.between(level)[0], us[-1]))
                uls.append(self.conv(left.between(level)[0], uls[-1]))
        u, ul = us.pop(), uls.pop()
        for level in reversed(levels):
            for one, other in zip(up.up[level], left.up[level], strict=True):
                u = self.resnet(one, u, us.pop())
                ul = self.resnet(other, ul, u, uls.pop())
            if level:
                u, ul = self.grow(up.doubling[level - 1], u), self.grow(left.doubling[level - 1], ul)
        assert not us
        assert not uls
        return self.nin(s.params, elu(ul))


@pytest.mark.parametrize("spec", [TWICE, "pixelcnnpp:tiny", "pixelcnnpp:digits_class", "pixelcnnpp:tiny,halvings=0"])
def test_it_is_a_plain_one(spec: str) -> None:
    source = stirred(spec)
    f, context = source.observe(64, [0, 1], seed=2)
    images = source.channels(f, torch.float64).unflatten(1, (8, 8)).permute(0, 3, 1, 2)
    expected = Plain(source, context.get("class"))(images)
    found = source(f, source.encode(context, 64))
    assert torch.allclose(found, expected.flatten(2).transpose(1, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_steps_over_three_sizes_of_the_image(chunk: int) -> None:
    source = stirred(TWICE)
    f = torch.randint(8, (3, 144), generator=torch.Generator().manual_seed(1))
    code = source.encode({}, 144)
    state, parts = source.start(3, 144, code), []
    for g0 in range(0, 144, chunk):
        params, state = source.extend(state, f, g0, min(g0 + chunk, 144))
        parts.append(params)
    assert (torch.cat(parts, 1) - source(f, code)).abs().max() <= 1e-12


@cache
def drawn(method: str) -> Tensor:
    """Return two images of a method, drawn once."""
    source, run = stirred(TWICE), {m.name: m.run for m in METHODS if m.op == "sample"}
    return run[method](source, Task(64, {}, noise=source.distribution.noise(3, range(2), range(64)))).x


@pytest.mark.parametrize("method", ["cached", "blocks", "forecast", "speculative"])
def test_draws_over_three_sizes_of_the_image(method: str) -> None:
    assert torch.equal(drawn(method), drawn("naive"))


@pytest.mark.parametrize("at", [0, 1, 8, 12, 21])
@pytest.mark.parametrize("back", [0, 1, 3, 9, 30])
def test_going_back_within_a_row_to_the_marks_row_and_between(at: int, back: int) -> None:
    """A state rewinds several times after wrong guesses up to pixel 41, to ``back`` pixels after the mark."""
    source = stirred(TWICE)
    f = torch.randint(8, (2, 64), generator=torch.Generator().manual_seed(1))
    code = source.encode({}, 64)
    expected, g = source(f, code), at + back
    state = source.start(2, 64, code)
    if at:
        _, state = source.extend(state, f, 0, at)
    mark = source.mark(state, at)
    wrong = torch.cat([f[:, : max(g - 1, at)], (f[:, max(g - 1, at) :] + 3) % 8], dim=1)
    for end in (g + 1, 55):
        _, state = source.extend(state, wrong, at, end)
        state = source.rewind(state, mark, f, g)
        params, state = source.extend(state, f, g, 60)
        assert (params - expected[:, g:60]).abs().max() <= 1e-12
        state = source.rewind(state, mark, f, at)


def test_marks_cost_no_memory_of_their_own() -> None:
    source = stirred(TWICE)
    f = torch.randint(8, (2, 64), generator=torch.Generator().manual_seed(1))
    _, state = source.extend(source.start(2, 64, source.encode({}, 64)), f, 0, 20)
    _, kept = source.mark(state, 20)
    for ours, theirs in ((state.lines.lines, kept.lines.lines), (state.rows.before, kept.rows.before)):
        assert ours is not theirs
        assert all(ours[conv] is theirs[conv] for conv in ours)


def test_initialisation_from_data_makes_outputs_standard() -> None:
    source = resolve("pixelcnnpp:digits").build(dtype=torch.float64)
    f, _ = source.observe(256, range(16), seed=0)
    before = source(f, source.encode({}, 256))
    source.initialise(f, source.encode({}, 256))
    params = source(f, source.encode({}, 256)).flatten(0, 1)
    assert before.mean(0).abs().max() > 0.05
    assert torch.allclose(params.mean(0), torch.zeros_like(params[0]), atol=1e-6)
    assert torch.allclose(params.std(0, correction=0), torch.ones_like(params[0]), rtol=1e-3)
    again = resolve("pixelcnnpp:digits").build(dtype=torch.float64)
    again.initialise(f, again.encode({}, 256))
    assert torch.equal(again(f, again.encode({}, 256)).flatten(0, 1), params)


@pytest.mark.parametrize(("n", "near"), [(4, "16$"), (36, "16, 64$"), (100, "64, 144$"), (5, "16$"), (17, "16, 64$")])
def test_sides_that_cannot_be_halved_are_refused(n: int, near: str) -> None:
    with pytest.raises(ValueError, match=f"{n} pixels.*near: {near}"):
        resolve(TWICE).build().schedule(n)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(classes=3), "classes must be 0 or 10, got 3"),
        (dict(halvings=-1), "halvings must be 0 or more, got -1"),
        (dict(activation="relu"), "no activation 'relu'"),
        (dict(components=0), "got 2, 3 and 0"),
    ],
)
def test_misuse_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelCNNpp(**{**PixelCNNpp.presets["tiny"], **wrong})


@pytest.mark.slow
def test_the_published_model() -> None:
    """Parameters are as many as the published code's variables, and steps agree with forward.

    The sum here is by layers: direction, gain and bias of each.
    """
    f, logistics = 160, 10

    def layer(inputs: int, outputs: int = f) -> int:
        return inputs * outputs + 2 * outputs

    def resnet(taps: int, extra: int) -> int:
        return layer(taps * 2 * f) + layer(taps * 2 * f, 2 * f) + (layer(2 * f * extra) if extra else 0)

    entries = layer(6 * 4) + layer(3 * 4) + layer(2 * 4)
    down = 15 * (resnet(6, 0) + resnet(4, 1))
    up = 17 * (resnet(6, 1) + resnet(4, 2))
    sizes = 2 * 2 * (layer(6 * f) + layer(4 * f))
    source = resolve("pixelcnnpp:cifar10").build(dtype=torch.float64)
    assert source.weights(1024) == entries + down + up + sizes + layer(f, 10 * logistics) == 53_659_080
    x, _ = source.observe(64, [0], seed=0)
    code = source.encode({}, 64)
    expected, state = source(x, code), source.start(1, 64, code)
    params, _ = source.extend(state, x, 0, 20)
    assert (params - expected[:, :20]).abs().max() <= 1e-9
    assert source.distribution.log_prob(expected, x).isfinite().all()
    assert source.distribution.draw(params, source.distribution.noise(0, [0], range(20))).max() < 256**3

"""Tests of the multiscale PixelCNN: order of generation, steps per size, nested likelihoods, weights by scale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from arbench.methods import METHODS, Task
from arbench.models import ModelError, Source, resolve
from arbench.models.multiscale_pixelcnn import MultiscalePixelCNN


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def built(spec: str, dtype: torch.dtype = torch.float64) -> MultiscalePixelCNN:
    source = resolve(f"multiscale_pixelcnn:{spec}").build(dtype=dtype)
    assert isinstance(source, MultiscalePixelCNN)
    return source


def pictures(source: MultiscalePixelCNN, side: int, rows: list[int]) -> Tensor:
    """Return the pictures that ``observe`` reorders: (B, H, W, C)."""
    return source.pictures(side, rows, 7, None)[0]


def test_elements_come_corner_by_corner_and_scale_by_scale() -> None:
    source = built("tiny")
    x, image = source.observe(16, [3], seed=7)[0][0], pictures(source, 4, [3])[0, ..., 0]
    pieces = [image[::4, ::4], image[::4, 2::4], image[2::4, ::4], image[2::4, 2::4]]
    pieces += [image[::2, 1::2], image[1::2, ::2], image[1::2, 1::2]]
    assert torch.equal(x, torch.cat([piece.flatten() for piece in pieces]))


def test_colours_of_a_corner_come_one_after_the_other() -> None:
    source = built("digits,colours=3,levels=4")
    x, image = source.observe(48, [3], seed=7)[0][0], pictures(source, 4, [3])[0]
    assert torch.equal(x[:12], image[::2, ::2].flatten())
    for i, (row, column) in enumerate([(0, 1), (1, 0), (1, 1)]):
        for colour in range(3):
            begin = 12 * (i + 1) + 4 * colour
            assert torch.equal(x[begin : begin + 4], image[row::2, column::2, colour].flatten())


@pytest.mark.parametrize(("spec", "base", "colours"), [("tiny", 1, 1), ("digits", 2, 1), ("imagenet", 4, 3)])
def test_steps_grow_by_three_a_doubling_and_colour(spec: str, base: int, colours: int) -> None:
    source = built(f"{spec},blocks=0,width=4,base_layers=1,base_channels=6")
    for k in range(6):
        n = colours * base * base * 4**k
        bounds = list(source.schedule(n))
        assert len(bounds) - 1 == colours * base * base + 3 * colours * k
        assert bounds == sorted(set(bounds))
        assert (bounds[0], bounds[-1]) == (0, n)


@pytest.mark.parametrize("spec", ["tiny", "tiny_colour", "tiny_class", "digits"])
def test_a_lower_resolution_is_scored_as_the_beginning_of_a_higher_one(spec: str) -> None:
    source = built(spec)
    n = source.ladder[1]
    x, context = source.observe(n, [0, 1], seed=0)
    whole = source(x, source.encode(context, n))
    part = source(x[:, : n // 4], source.encode(context, n // 4))
    assert (whole[:, : n // 4] - part).abs().max() <= 1e-12


def test_a_corner_is_predicted_by_its_own_network() -> None:
    """The upper right corner of the first doubling equals plain convolutions over the base image."""
    source = built("digits,classes=0")
    x = source.observe(16, [0, 1], seed=0)[0]
    network = source.scales[0][0]
    image = (x[:, :4].double() / 8 - 1).view(2, 1, 2, 2)
    h = conv2d(image, network.first.weight, network.first.bias, padding=1)
    for first, second in network.blocks:
        hidden = conv2d(h.relu(), first.weight, first.bias, padding=1)
        h = h + conv2d(hidden.relu(), second.weight, second.bias, padding=1)
    head = network.heads[0]
    hidden = h.relu().flatten(2).transpose(1, 2) @ head.hidden + head.hidden_bias
    expected = hidden.relu() @ head.out + head.out_bias
    assert (source(x, source.encode({}, 16))[:, 4:8] - expected).abs().max() <= 1e-12


def test_a_doubling_needs_its_own_weights_until_they_are_shared() -> None:
    source = built("tiny")
    found = [source.weights(4**k) for k in range(5)]
    assert found[0] < found[1] < found[2] == found[3] == found[4]
    assert found[4] == sum(p.numel() for p in source.parameters())
    assert found[2] - found[1] == found[1] - found[0]


def test_weights_beyond_an_events_size_do_not_matter() -> None:
    source = built("tiny")
    x, context = source.observe(4, [0], seed=0)
    before = source(x, source.encode(context, 4))
    for parameter in source.scales[1].parameters():
        parameter.add_(1)
    assert torch.equal(source(x, source.encode(context, 4)), before)


@pytest.mark.parametrize(("n", "near"), [(3, "1, 4"), (8, "4, 16"), (63, "16, 64"), (32, "16, 64"), (100, "64, 256")])
def test_no_doublings_have_that_many(n: int, near: str) -> None:
    with pytest.raises(ValueError, match=rf"\(colours=1\) has {n} sub-pixels; near: {near}$"):
        built("tiny").schedule(n)


@pytest.mark.parametrize("setting", ["base=0", "scales=0"])
def test_wrong_settings_are_refused(setting: str) -> None:
    with pytest.raises(ModelError, match="base and scales must be at least 1"):
        resolve(f"multiscale_pixelcnn:tiny,{setting}").build()


def samples_agree(source: Source, n: int) -> None:
    x, context = source.observe(n, [0], seed=0)
    code = source.encode(context, n)
    assert source.distribution.log_prob(source(x, code), x).isfinite().all()
    noise = source.distribution.noise(0, [0], range(n), torch.float32)
    (cached,) = [m for m in METHODS if m.name == "cached"]
    found = cached.run(source, Task(n, context, noise=noise, record=True))
    assert found.params is not None
    assert (found.params - source(found.x, code)).abs().max() <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "n"), [("digits", 1024), ("imagenet", 192), ("imagenet", 3072)])
def test_presets_score_and_sample(preset: str, n: int) -> None:
    samples_agree(resolve(f"multiscale_pixelcnn:{preset}").build(), n)

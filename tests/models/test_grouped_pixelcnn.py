"""Tests of the grouped PixelCNN: against a plain masked network, at published size, with the user's partitions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import elu, unfold

from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.events.partitions import PARTITIONS, checked
from arbench.models.grouped_pixelcnn import GroupedPixelCNN
from arbench.models.layers.local_masks import LocalBlock, LocalConv, NoPast


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def plain(source: GroupedPixelCNN, picture: Tensor) -> Tensor:
    """Return parameters (B, H W, P) in raster order, by convolutions whose unfolded input is masked, as published.

    Args:
        source: the model, with its weights and partition.
        picture: levels (B, H, W).
    """
    batch, side, _ = picture.shape
    group = checked(source.partition(side, source.groups), side, source.groups).view(side, side)

    def mask(dilation: int, strict: bool) -> Tensor:
        found = torch.zeros(1, 9, side * side, dtype=torch.float64)
        for r in range(side):
            for c in range(side):
                for tap in range(9):
                    row, column = r + (tap // 3 - 1) * dilation, c + (tap % 3 - 1) * dilation
                    if 0 <= row < side and 0 <= column < side:
                        own, theirs = int(group[r, c]), int(group[row, column])
                        found[0, tap, r * side + c] = theirs < own or (theirs == own and not strict)
        return found

    def conv(module: LocalConv, x: Tensor, dilation: int = 1, strict: bool = False) -> Tensor:
        """Convolve (B, C, H, W) to the same shape."""
        taps = unfold(x, 3, dilation=dilation, padding=dilation).view(batch, -1, 9, side * side)
        masked = (taps * mask(dilation, strict)).permute(0, 3, 2, 1).reshape(batch, side * side, -1)
        out = masked @ module.product.weight + module.product.bias
        return out.transpose(1, 2).view(batch, -1, side, side)

    def norm(x: Tensor) -> Tensor:
        x = x - x.mean(1, keepdim=True)
        return x / (x.pow(2).mean(1, keepdim=True) + 1e-5).sqrt()

    def twice(x: Tensor) -> Tensor:
        return elu(torch.cat([x, -x], dim=1))

    def resnet(module: LocalBlock, x: Tensor, other: Tensor | None = None) -> Tensor:
        hidden = norm(conv(module.first, twice(x)))
        if other is not None:
            assert module.skip is not None
            mixed = torch.einsum("bchw,cd->bdhw", twice(other), module.skip.weight)
            hidden = hidden + mixed + module.skip.bias.view(1, -1, 1, 1)
        a, b = conv(module.second, twice(hidden)).chunk(2, dim=1)
        return x + norm(a) * torch.sigmoid(b)

    net = source.net
    values = picture.double() * 2 / (source.levels - 1) - 1
    u = norm(conv(net.first, torch.stack([values, torch.ones_like(values)], 1), strict=True))
    seen, between = [u], list(net.between)
    for stage, blocks in enumerate(net.up):
        if stage:
            u = norm(conv(between.pop(0), u, source.dilation))
            seen.append(u)
        for block in blocks:
            u = resnet(block, u)
            seen.append(u)
    u = seen.pop()
    for stage, blocks in enumerate(net.down):
        if stage:
            u = norm(conv(between.pop(0), u, source.dilation))
        for block in blocks:
            u = resnet(block, u, seen.pop())
    assert not seen
    assert not between
    return elu(u).flatten(2).transpose(1, 2) @ net.last.weight + net.last.bias


@pytest.mark.parametrize(
    "spec",
    ["tiny", "tiny_random", "tiny_rows", "tiny_curve", "tiny_logistic", "tiny,stages=3,partition=random"],
)
def test_the_network_is_the_published_one(spec: str) -> None:
    source = resolve(f"grouped_pixelcnn:{spec}").build(dtype=torch.float64)
    assert isinstance(source, GroupedPixelCNN)
    x, context = source.observe(49, [0, 1], seed=0)
    order = source.layout(49).order
    picture = torch.empty_like(x)
    picture[:, order] = x
    expected = plain(source, picture.view(2, 7, 7))[:, order]
    assert (source(x, source.encode(context, 49)) - expected).abs().max() <= 1e-10


def test_the_published_preset_has_the_published_size() -> None:
    """Weights are those of the published code at its defaults, on grey images: blocks of 3x3 convolutions."""

    def conv(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + outputs

    up = conv(320, 160) + conv(320, 320)
    down = up + 320 * 160 + 160
    published = conv(2, 160) + 15 * up + 17 * down + 4 * conv(160, 160) + 160 * 30 + 30
    assert published == 46_055_390
    assert resolve("grouped_pixelcnn:mnist").build().weights(784) == published


def test_steps_are_groups_and_a_step_draws_its_pixels_only() -> None:
    for preset, steps in (("digits_g4", 4), ("digits_g16", 16), ("digits_rows", 12), ("tiny_curve", 144)):
        source = resolve(f"grouped_pixelcnn:{preset}").build()
        bounds = source.schedule(144)
        assert len(bounds) == steps + 1
        state = source.start(1, 144, source.encode({}, 144))
        x = torch.zeros(1, 144, dtype=torch.long)
        params, _ = source.extend(state, x, 0, 1)
        assert params.shape[1] == bounds[1]


def test_any_partition_of_ones_own() -> None:
    def rings(side: int, groups: int) -> Tensor:
        """Number pixels from the middle outwards."""
        at = (torch.arange(side) - side // 2).abs()
        return torch.maximum(at.unsqueeze(1), at).clamp_max(groups - 1 if groups else side)

    config = {**GroupedPixelCNN.presets["tiny"], "partition": rings}
    source = GroupedPixelCNN(**{**config, "groups": 0})
    assert len(source.schedule(81)) - 1 == 5
    assert list(source.layout(81).order[:1]) == [40]
    assert source.claims == {}
    source = GroupedPixelCNN(**{**config, "groups": 3})
    assert len(source.schedule(81)) - 1 == 3
    assert source.claims[("sample", "cached")].depth == "1"
    x, context = source.observe(81, [0], seed=0)
    params = source(x, source.encode(context, 81))
    changed = x.clone()
    changed[:, source.schedule(81)[1] :] = 0
    assert torch.equal(source(changed, source.encode(context, 81))[:, :9], params[:, :9])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (
            "partition=spiral",
            "unknown partition 'spiral'; available: rows, stripes, checkerboard, multiscale, random, s_curve",
        ),
        ("groups=0", "partition 'checkerboard' needs a positive number of groups, got 0"),
        ("groups=-1", "partition 'checkerboard' needs a positive number of groups, got -1"),
        ("kernel=4", "kernel must be odd, got 4"),
    ],
)
def test_wrong_settings_are_refused(setting: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        resolve(f"grouped_pixelcnn:tiny,{setting}").build()


def test_claims_follow_the_partition() -> None:
    for name in PARTITIONS:
        source = resolve(f"grouped_pixelcnn:tiny,partition={name},groups=3").build()
        assert source.claims[("sample", "cached")].depth == "1"
    for preset, depth in (("tiny_rows", "sqrt N"), ("tiny_curve", "N")):
        source = resolve(f"grouped_pixelcnn:{preset}").build()
        assert source.claims[("sample", "cached")].depth == depth
        assert set(source.claims) == set(GroupedPixelCNN.claims)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "n"), [("mnist", 9), ("mnist", 784), ("digits_g16", 1024), ("digits_rows", 256)])
def test_presets_score_and_sample(preset: str, n: int) -> None:
    source = resolve(f"grouped_pixelcnn:{preset}").build()
    x, context = source.observe(n, [0], seed=0)
    noise = source.distribution.noise(0, [0], range(n), torch.float32)
    code = source.encode(context, n)
    params = source(x, code)
    assert source.distribution.log_prob(params, x).isfinite().all()
    for method in methods_for(source):
        if method.op == "sample" and method.name in ("naive", "cached") and len(source.schedule(n)) < 20:
            found = method.run(source, Task(n, context, noise=noise)).x
            assert torch.equal(source.distribution.draw(source(found, code), noise), found)


def seen(spec):
    """Return how many pairs of a pixel and one that its parameters depend on there are in an 8x8 picture."""
    model = resolve(f"grouped_pixelcnn:{spec}").build(0, torch.float64)
    read = torch.randn(64, 64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    with torch.enable_grad():
        found = model.net(read, NoPast(), 0, 0, 64, model.encode({}, 64))
        found[range(64), range(64)].sum().backward()
    return int((read.grad != 0).any(-1).sum())


def test_finer_groups_see_more_only_through_wide_kernels():
    names = ("digits_g4", "digits_multiscale", "digits_sequential")
    assert [seen(f"{name},channels=4") for name in names] == [1396, 1396, 1084]
    assert [seen(f"{name},channels=4,kernel=9") for name in names] == [1536, 1638, 2005]

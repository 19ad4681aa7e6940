"""Tests of PixelCNN: its losses, its class, its raster orders, misuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arbench.distributions import LOSSES
from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve


def influence(source: Source, side: int) -> Tensor:
    """Return (P, P): whether pixel i's parameters depend on pixel j, rows first."""
    x, context = source.observe(side * side, [0], seed=0)
    code = source.encode(context, side * side)
    found = torch.zeros(side * side, side * side, dtype=torch.bool)
    with torch.no_grad():
        before = source(x, code)
        for j in range(side * side):
            other = x.clone()
            other[0, j] = (other[0, j] + 1) % source.distribution.levels  # type: ignore[attr-defined]
            found[:, j] = (source(other, code) != before)[0].any(-1)
    if source.raster == "columns":  # type: ignore[attr-defined]
        place = torch.arange(side * side).view(side, side).T.flatten()
        found = found[place][:, place]
    return found


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_selected_by_name(loss: str) -> None:
    source = resolve(f"pixelcnn:tiny,loss={loss},components=2").build(1, torch.float64)
    assert type(source.distribution) is type(LOSSES[loss](2, 2))
    x, _ = source.observe(12, [0, 1], seed=2)
    x = x if source.distribution.finite else x.double()
    noise = source.distribution.noise(0, [0, 1], range(12))
    first: dict[str, Tensor] = {}
    with torch.no_grad():
        for method in methods_for(source):
            if method.exactness != "pointwise":
                continue
            found = method.run(source, Task(12, {}, noise=noise, x=x, record=True))
            value = found.x if method.op == "sample" else found.log_prob
            assert value is not None
            assert value.isfinite().all()
            torch.testing.assert_close(value, first.setdefault(method.op, value), rtol=1e-9, atol=1e-9)


def test_dequantised_pixels_are_the_levels_and_noise_within_their_bins() -> None:
    real, finite = resolve("pixelcnn:tiny_gaussian").build(), resolve("pixelcnn:tiny_columns").build()
    x, _ = real.observe(64, [0, 1, 2], seed=5)
    levels, _ = finite.observe(64, [0, 1, 2], seed=5)
    levels = levels.view(3, 8, 8).transpose(1, 2).reshape(3, 64)
    within = (x.double() + 1) * 2 - levels
    assert x.abs().max() <= 1
    assert within.min() >= 0
    assert within.max() <= 1
    assert within.std() > 0.2
    assert (within[0] != within[1]).any()


def test_events_of_columns_are_those_of_rows_transposed() -> None:
    by_rows, by_columns = (
        resolve(f"pixelcnn:digits,raster={raster}").build().observe(64, [4], seed=1)[0].view(8, 8)
        for raster in ("rows", "columns")
    )
    assert not torch.equal(by_rows, by_columns)
    assert torch.equal(by_rows, by_columns.T)


@pytest.mark.parametrize("raster", ["rows", "columns"])
def test_a_pixel_sees_what_its_raster_puts_before_it(raster: str) -> None:
    side = 5
    source = resolve(f"pixelcnn:tiny_columns,channels=24,raster={raster}").build(1, torch.float64)
    row, column = (torch.arange(side * side) // side, torch.arange(side * side) % side)
    turn = row * side + column if raster == "rows" else column * side + row
    assert torch.equal(influence(source, side), turn[None, :] < turn[:, None])


def test_the_class_is_in_both_stacks_of_every_layer() -> None:
    """The class is in both halves of the gates too: each quarter of an embedding matters alone."""
    source = resolve("pixelcnn:tiny_class").build(1, torch.float64)
    x, context = source.observe(49, [0], seed=0)
    assert 0 <= int(context["class"]) < 10
    other = {"class": (context["class"] + 1) % 10}
    embeddings = [layer.by_class.data for layer in source.layers]  # type: ignore[union-attr]
    for embedding in embeddings:
        for quarter in range(4):
            for each in embeddings:
                each.zero_()
            embedding.chunk(4, dim=1)[quarter][other["class"]] = 1.0
            one, two = (source(x, source.encode(c, 49)) for c in (context, other))
            assert not torch.equal(one, two), quarter


def test_the_class_is_no_more_operations_a_step() -> None:
    """The class joins the contribution of the row above, once per row."""
    plain, conditioned = (resolve(f"pixelcnn:tiny_class,classes={c}").build() for c in (0, 10))
    parts = []
    for source in (plain, conditioned):
        x, context = source.observe(9, [0], seed=0)
        state = source.start(1, 9, source.encode(context, 9))
        _, state = source.extend(state, x, 0, 1)
        with torch.profiler.profile() as profile:
            source.extend(state, x, 1, 2)
        parts.append(sum(event.count for event in profile.key_averages()))
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss=softmaxx", "unknown loss 'softmaxx'; did you mean 'softmax'?"),
        ("raster=diagonal", "raster must be 'rows' or 'columns', got 'diagonal'"),
        ("classes=3", "classes must be 0 or 10, got 3"),
    ],
)
def test_misuse_is_one_line(setting: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"pixelcnn:tiny,{setting}").build()
    assert str(caught.value) == f"model 'pixelcnn:tiny,{setting}': {said}"


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["gated", "digits", "class_conditional"])
def test_published_presets_score_and_sample(preset: str) -> None:
    source = resolve(f"pixelcnn:{preset}").build()
    n = source.count_ladder[0]
    x, context = source.observe(n, [0], seed=0)
    noise = source.distribution.noise(0, [0], range(n), torch.float32)
    with torch.no_grad():
        done = {
            m.op: m.run(source, Task(n, context, noise=noise, x=x))
            for m in methods_for(source)
            if m.name in ("parallel", "cached")
        }
    assert done["score"].log_prob is not None
    assert done["score"].log_prob.isfinite().all()
    assert done["sample"].x.shape == (1, n)
